"""A judge in the test's own process, for schemas that cost nothing."""

from typing import Any

from singletrack_tasks.errors import JobCancelled
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.judging.verdict import read_answer


class FakeJudge:
    """Reads answers at once."""

    def __init__(self) -> None:
        self.stopped = False

    def read(self, text: str, schema: JsonSchema, cancellation: Cancellation) -> Any:
        """Read an answer, unless it is cancelled."""
        if cancellation.cancelled:
            raise JobCancelled("cancelled before the answer was read")
        return read_answer(text, schema)

    def stop(self) -> None:
        """Nothing is held."""
        self.stopped = True
