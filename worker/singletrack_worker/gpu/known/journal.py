"""Durations and outcomes of operations, for the status and for telemetry."""

from singletrack_tasks.errors import DeadlinePassed, JobCancelled, SingletrackError
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import IntentEnd, LastError
from singletrack_tasks.steps import STEPS
from singletrack_tasks.text import cut_line
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.hold import Overtaken
from singletrack_worker.gpu.stores import EndedOperation, Ending, SavedState, Telemetry

# The weight of the newest duration in its mean.
NEWEST_PART = 0.3
_SHOWN_CHARS = 300


class Journal:
    """Learns durations, keeps the last error, and passes everything on to the telemetry."""

    def __init__(self, saved: SavedState, clock: Clock, telemetry: Telemetry) -> None:
        self._saved = saved
        self._clock = clock
        self._telemetry = telemetry
        self.last_error: LastError | None = None

    @property
    def durations_s(self) -> dict[str, float]:
        """Mean durations of operations, without their steps, and of steps, by name."""
        return self._saved.durations_s

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Record a step of a transition, and the error if it failed."""
        if error is None:
            self._learn(receipt.step, receipt.duration_s)
        self._telemetry.moved(receipt, error)

    def intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        """Record how an announced need of the VLM ended."""
        self._telemetry.intent_ended(outcome, saved_s)

    def ended(self, operation: EndedOperation, error: BaseException | None) -> None:
        """Record an operation, and the error if it failed."""
        if error is None and operation.kind not in STEPS:
            # An operation named after its only step is that step: its duration is learned there.
            self._learn(operation.kind, operation.work_s)
        elif operation.outcome == "failed":
            self.last_error = LastError(
                at_unix_s=self._clock.time(),
                job_id=operation.job_id or None,
                kind=operation.kind,
                error=type(error).__name__,
                message=cut_line(str(error), _SHOWN_CHARS),
            )
        self._telemetry.ended(operation)

    def _learn(self, name: str, duration_s: float) -> None:
        known_s = self._saved.durations_s.get(name, duration_s)
        mean_s = known_s + NEWEST_PART * (duration_s - known_s)
        # A new dict, not a change in place: the status thread may be reading the old one.
        self._saved.durations_s = {**self._saved.durations_s, name: float(f"{mean_s:.3g}")}


def outcome_of(error: BaseException | None) -> Ending:
    """Classify how an operation ended."""
    match error:
        case None:
            return "ok"
        case JobCancelled() | Overtaken():
            return "cancelled"
        case DeadlinePassed():
            return "expired"
        case _:
            return "failed"
