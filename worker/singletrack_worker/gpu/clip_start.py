"""CLIP's first start, which takes seconds and which embeddings wait for, and later checks of its encoders."""

import threading
from collections.abc import Callable

from singletrack_tasks.errors import JobCancelled, SingletrackError
from singletrack_tasks.result import DegradedCode
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.reasons import Reasons
from singletrack_worker.gpu.tenants import Clip
from singletrack_worker.gpu.turn import Turn

_LOOK_S = 0.1


class ClipStart:
    """Starts CLIP, and maintains the reason for degraded mode while it is unavailable."""

    def __init__(self, clip: Clip, reasons: Reasons, clock: Clock) -> None:
        self._clip = clip
        self._reasons = reasons
        self._clock = clock
        # Set unless CLIP is being started for the first time.
        self._started = threading.Event()
        self._started.set()
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether CLIP was stopped for good."""
        return self._stopped.is_set()

    def expect(self) -> None:
        """Make embeddings wait from now on, until `run` has ended."""
        self._started.clear()

    def run(self) -> None:
        """Start CLIP's encoder on the CPU."""
        try:
            self._attempt(self._clip.start)
        finally:
            self._started.set()

    def check(self) -> None:
        """Replace encoders that died, unless CLIP is just being started."""
        if self._started.is_set():
            self._attempt(self._clip.check)

    def wait(self, turn: Turn) -> None:
        """Wait while CLIP is being started for the first time, as long as the caller waits for the result.

        Raises `JobCancelled` and `DeadlinePassed`.
        """
        began_s = self._clock.monotonic()
        while not self._started.wait(_LOOK_S):
            turn.refuse_if_stale()
            if turn.cancellation.cancelled or self.stopped:
                raise JobCancelled(f"job {turn.job.id} was cancelled while CLIP was starting")
        turn.held_up_s += self._clock.monotonic() - began_s

    def stop(self) -> None:
        """Note that CLIP is stopped: failures from now on are expected and not reported."""
        self._stopped.set()

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except SingletrackError as error:
            if not self.stopped:
                self._reasons.add(DegradedCode.CLIP_UNAVAILABLE, error.message)
        else:
            self._reasons.clear(DegradedCode.CLIP_UNAVAILABLE)
