"""Steps that were made, with their receipts."""

from dataclasses import dataclass

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.result import StepReceipt


@dataclass(frozen=True)
class Move:
    """A step that was made: its receipt, and the error if it failed."""

    receipt: StepReceipt
    error: SingletrackError | None = None
