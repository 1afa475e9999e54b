"""Executed steps, with their receipts."""

from dataclasses import dataclass

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.result import StepReceipt


@dataclass(frozen=True)
class Move:
    """An executed step: its receipt, and the error if it failed."""

    receipt: StepReceipt
    error: SingletrackError | None = None
