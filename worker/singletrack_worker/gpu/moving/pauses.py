"""Growing pauses between the attempts that upkeep makes at a step that failed."""

from singletrack_tasks.result import StepName
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.moving.planner import Plan
from singletrack_worker.gpu.ports import Clock

MAX_PAUSE_S = 300.0


class Pauses:
    """Growing pauses between the attempts that upkeep makes at a step that failed."""

    def __init__(self, clock: Clock, first_s: float) -> None:
        self._clock = clock
        self._first_s = first_s
        self._pauses: dict[StepName, tuple[float, float]] = {}

    def begin(self, step: StepName) -> None:
        """Let a step rest, twice as long as the last time."""
        last_s = self._pauses[step][1] if step in self._pauses else self._first_s / 2
        pause_s = min(MAX_PAUSE_S, last_s * 2)
        self._pauses[step] = (self._clock.monotonic() + pause_s, pause_s)

    def end(self, step: StepName) -> None:
        """Forget the failures of a step."""
        self._pauses.pop(step, None)

    def leave_out(self, steps: Plan) -> Plan:
        """Return the steps without those that rest, and without those that rely on one that rests."""
        now = self._clock.monotonic()
        left: list[StepName] = []
        for step in steps:
            if step not in self._pauses or self._pauses[step][0] <= now:
                left.append(step)
            elif STEPS[step].essential:
                break
        return tuple(left)
