"""When the VLM was last used, and so whether anybody still wants it on the GPU (R4)."""

from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.stores import SavedState


class VlmUse:
    """The idle clock of the VLM.

    It runs on the monotonic clock, so that a step of the wall clock unloads nothing early; the Unix time of the
    last use is kept for the status, and for the next worker, which takes over the time already idle.
    """

    def __init__(self, saved: SavedState, clock: Clock, idle_timeout_s: float) -> None:
        self._saved = saved
        self._clock = clock
        self._idle_timeout_s = idle_timeout_s
        self._last_used_s: float | None = None
        self.resume()

    def resume(self) -> None:
        """Go on from what was saved."""
        last_unix_s = self._saved.vlm_last_used_unix_s
        already_idle_s = 0.0 if last_unix_s is None else max(0.0, self._clock.time() - last_unix_s)
        self._last_used_s = None if last_unix_s is None else self._clock.monotonic() - already_idle_s

    def touch(self) -> None:
        """Somebody uses the VLM, or a mode wants it there."""
        self._last_used_s = self._clock.monotonic()
        self._saved.vlm_last_used_unix_s = self._clock.time()

    def adopt(self) -> None:
        """Take in a VLM that is loaded and that nobody is known to have used: from now on it may grow idle.

        Somebody else loaded it, or a worker that is gone. In AUTOPILOT nobody wants it: an unload that failed is
        made up for, whatever the timeout.
        """
        if self._last_used_s is None and self._saved.mode is not ExecutionMode.AUTOPILOT:
            self.touch()

    def forget(self) -> None:
        """Nobody wants the VLM until it is asked again."""
        self._last_used_s = None
        self._saved.vlm_last_used_unix_s = None

    @property
    def known(self) -> bool:
        """Whether there was a use that still counts."""
        return self._last_used_s is not None

    @property
    def idle_s(self) -> float:
        """Seconds since the last use, 0 if there was none."""
        return 0.0 if self._last_used_s is None else self._clock.monotonic() - self._last_used_s

    @property
    def wanted(self) -> bool:
        """Whether the VLM was used within the timeout; a timeout of 0 never ends (R4.3)."""
        if self._last_used_s is None:
            return False
        return self._idle_timeout_s == 0 or self.idle_s < self._idle_timeout_s
