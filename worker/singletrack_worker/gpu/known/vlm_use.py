"""When the VLM was last used, and so whether it is still wanted on the GPU (R4)."""

from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.stores import SavedState


class VlmUse:
    """The idle clock of the VLM.

    It runs on the monotonic clock, so that a step of the wall clock unloads nothing early. The Unix time of the
    last use is kept for the status, and for the next worker, which counts the time already idle.
    """

    def __init__(self, saved: SavedState, clock: Clock, idle_timeout_s: float) -> None:
        self._saved = saved
        self._clock = clock
        self._idle_timeout_s = idle_timeout_s
        self._last_used_s: float | None = None
        self.resume()

    def resume(self) -> None:
        """Continue from the saved state."""
        last_unix_s = self._saved.vlm_last_used_unix_s
        already_idle_s = 0.0 if last_unix_s is None else max(0.0, self._clock.time() - last_unix_s)
        self._last_used_s = None if last_unix_s is None else self._clock.monotonic() - already_idle_s

    def touch(self) -> None:
        """Note that the VLM is used, or that a mode wants it loaded."""
        self._last_used_s = self._clock.monotonic()
        self._saved.vlm_last_used_unix_s = self._clock.time()

    def adopt(self) -> None:
        """Start the idle time of a loaded VLM without a known use: another client or an earlier worker loaded it.

        In AUTOPILOT it is not wanted: upkeep unloads it whatever the timeout, as it does after a failed unload.
        """
        if self._last_used_s is None and self._saved.mode is not ExecutionMode.AUTOPILOT:
            self.touch()

    def forget(self) -> None:
        """Note that the VLM is not wanted until it is used again."""
        self._last_used_s = None
        self._saved.vlm_last_used_unix_s = None

    @property
    def known(self) -> bool:
        """Whether there is a last use that still counts."""
        return self._last_used_s is not None

    @property
    def idle_s(self) -> float:
        """Seconds since the last use, 0 without one."""
        return 0.0 if self._last_used_s is None else self._clock.monotonic() - self._last_used_s

    @property
    def wanted(self) -> bool:
        """Whether the VLM was used within the timeout; a timeout of 0 never ends (R4.3)."""
        if self._last_used_s is None:
            return False
        return self._idle_timeout_s == 0 or self.idle_s < self._idle_timeout_s
