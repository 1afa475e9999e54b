"""Tells several listeners what happens on the GPU."""

import logging
from collections.abc import Callable, Sequence

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import IntentEnd
from singletrack_worker.gpu.stores import EndedOperation, Telemetry

_log = logging.getLogger(__name__)


class Fanout:
    """Tells its listeners in order; one that fails is logged, and the operation goes on."""

    def __init__(self, listeners: Sequence[Telemetry]) -> None:
        self._listeners = tuple(listeners)

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Tell of a step of a transition."""
        self._each(lambda listener: listener.moved(receipt, error))

    def ended(self, operation: EndedOperation) -> None:
        """Tell of the end of an operation."""
        self._each(lambda listener: listener.ended(operation))

    def intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        """Tell of the end of an announced need of the VLM."""
        self._each(lambda listener: listener.intent_ended(outcome, saved_s))

    def _each(self, tell: Callable[[Telemetry], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception:
                _log.exception("%s failed", type(listener).__name__)
