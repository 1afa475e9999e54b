"""Waits for the driver to report the memory of a tenant that left as free (R1.4, R5.2)."""

from dataclasses import dataclass

from singletrack_tasks.errors import VramNotReleased
from singletrack_tasks.result import release_tolerance_mb
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.release import Owed
from singletrack_worker.gpu.tenants import Vram

# Work may go on with a driver that is slow to free the rest once this part is free.
USABLE_PART = 0.8
# How long the rest is waited for. The memory of a process that ended is back within milliseconds.
REST_S = 2.0
_POLL_S = 0.05
# One reading may be off.
_IN_A_ROW = 2


@dataclass
class Freed:
    """How far the wait has come, as `StepReceipt` has it; `limit_mb` is what VRAM in use did not drop to in time.

    `unread` is set if no reading told whether it did.
    """

    taken_mb: int | None = None
    left_mb: int | None = None
    usable_after_s: float | None = None
    released_after_s: float | None = None
    limit_mb: int | None = None
    unread: bool = False

    @property
    def shortfall(self) -> str:
        """What was still in use when work went on, empty if all was released."""
        if self.released_after_s is not None or self.usable_after_s is None:
            return ""
        return f"{self.left_mb} of its {self.taken_mb} MB were still in use when work went on"


class Releasing:
    """Waits, by readings of the driver."""

    def __init__(self, vram: Vram, clock: Clock, timeout_s: float) -> None:
        self._vram = vram
        self._clock = clock
        self._timeout_s = timeout_s

    def wait(self, tenant: str, owed: Owed, freed: Freed) -> None:
        """Poll until two readings in a row show the memory as free, and note in `freed` how it went.

        Returns at once if nothing is known to be owed. While the driver tells nothing, nobody knows: that is no failure
        in the end, only unread. Once most of it is free, the rest is waited for `REST_S`.
        Raises `VramNotReleased` with the figures if most of it is still in use after the time-out.
        """
        if owed.before_mb is None or owed.taken_mb <= 0:
            return
        whole_mb = max(owed.whole_mb, owed.taken_mb)
        freed.taken_mb = whole_mb
        limit_mb = owed.before_mb - int(owed.taken_mb * USABLE_PART)
        goal_mb = min(limit_mb, owed.before_mb - whole_mb + release_tolerance_mb(whole_mb))
        started_s = self._clock.monotonic()
        usable, released = _Streak(), _Streak()
        while released.length < _IN_A_ROW:
            used_mb, waited_s = self._used_mb(), self._clock.monotonic() - started_s
            usable.saw(low=used_mb is not None and used_mb <= limit_mb, at_s=waited_s)
            released.saw(low=used_mb is not None and used_mb <= goal_mb, at_s=waited_s)
            freed.left_mb = None if used_mb is None else max(0, used_mb - owed.before_mb + whole_mb)
            freed.usable_after_s = usable.since_s
            freed.released_after_s = released.since_s
            if usable.length == 0 and waited_s >= self._timeout_s:
                if used_mb is None:
                    freed.unread = True
                    return
                freed.limit_mb = limit_mb
                raise _not_released(tenant, used_mb, limit_mb, owed)
            if released.length == 0 and usable.length >= _IN_A_ROW and waited_s >= min(REST_S, self._timeout_s):
                return
            if released.length < _IN_A_ROW:
                self._clock.sleep(_POLL_S)

    def _used_mb(self) -> int | None:
        vram = self._vram.read()
        return None if vram is None else vram.used_mb


@dataclass
class _Streak:
    """Readings in a row that showed the same, and when the first of them was (seconds), None without one."""

    length: int = 0
    since_s: float | None = None

    def saw(self, *, low: bool, at_s: float) -> None:
        self.length = self.length + 1 if low else 0
        if self.length == 1:
            self.since_s = at_s
        elif not low:
            self.since_s = None


def _not_released(tenant: str, used_mb: int, limit_mb: int, owed: Owed) -> VramNotReleased:
    return VramNotReleased(
        f"{tenant} is gone, but {used_mb} MB of VRAM are in use where at most {limit_mb} MB were expected "
        f"({owed.before_mb} MB before, {owed.taken_mb} MB of them its own). Run `nvidia-smi` to see what holds it.",
        {"used_mb": used_mb, "expected_mb": limit_mb, "before_mb": owed.before_mb, "taken_mb": owed.taken_mb},
    )
