"""Growing pauses between upkeep's attempts at a failed step."""

from singletrack_tasks.result import StepName
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.moving.planner import Plan

MAX_PAUSE_S = 300.0


class Pauses:
    """Growing pauses between upkeep's attempts at a failed step."""

    def __init__(self, clock: Clock, first_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._pauses: dict[StepName, tuple[float, float]] = {}

    def begin(self, step: StepName) -> None:
        """Pause a step, for twice as long as the last time."""
        last_s = self._pauses[step][1] if step in self._pauses else self._first_s / 2
        pause_s = min(MAX_PAUSE_S, last_s * 2)
        self._pauses[step] = (self._clock.monotonic() + pause_s, pause_s)

    def end(self, step: StepName) -> None:
        """End a step's pause, and reset its length."""
        self._pauses.pop(step, None)

    def leave_out(self, steps: Plan) -> Plan:
        """Return the steps without paused ones, and without those that rely on a paused one."""
        now = self._clock.monotonic()
        left: list[StepName] = []
        for step in steps:
            if step not in self._pauses or self._pauses[step][0] <= now:
                left.append(step)
            elif STEPS[step].essential:
                break
        return tuple(left)
