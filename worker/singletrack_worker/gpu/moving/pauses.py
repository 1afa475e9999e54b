"""Growing pauses between upkeep's attempts at a step that failed, or that was undone for want of memory."""

from singletrack_tasks.result import StepName
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.moving.planner import Plan

MAX_PAUSE_S = 300.0


class Pauses:
    """Growing pauses between upkeep's attempts at a step that failed, or that was undone for want of memory."""

    def __init__(self, clock: Clock, first_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._pauses: dict[StepName, tuple[float, float]] = {}
        self._falls: dict[StepName, tuple[float, float]] = {}

    def begin(self, step: StepName) -> None:
        """Pause a step, for twice as long as the last time."""
        last_s = self._pauses[step][1] if step in self._pauses else self._first_s / 2
        pause_s = min(MAX_PAUSE_S, last_s * 2)
        self._pauses[step] = (self._clock.monotonic() + pause_s, pause_s)

    def end(self, step: StepName) -> None:
        """End a step's pause, and reset its length."""
        self._pauses.pop(step, None)

    def fell(self, step: StepName) -> None:
        """Pause a step that worked and was undone for want of memory, for twice as long as the last time.

        Its next success does not reset the pause, but `MAX_PAUSE_S` without another fall do.
        """
        now_s = self._clock.monotonic()
        until_s, last_s = self._falls.get(step, (now_s, self._first_s / 2))
        if now_s - until_s > MAX_PAUSE_S:
            last_s = self._first_s / 2
        pause_s = min(MAX_PAUSE_S, last_s * 2)
        self._falls[step] = (now_s + pause_s, pause_s)

    def leave_out(self, steps: Plan) -> Plan:
        """Return the steps without paused ones, and without those that rely on a paused one."""
        left: list[StepName] = []
        for step in steps:
            if not self._is_paused(step):
                left.append(step)
            elif STEPS[step].essential:
                break
        return tuple(left)

    def _is_paused(self, step: StepName) -> bool:
        now_s = self._clock.monotonic()
        return any(step in pauses and pauses[step][0] > now_s for pauses in (self._pauses, self._falls))
