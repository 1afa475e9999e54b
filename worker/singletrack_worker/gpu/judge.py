"""The port of the judge: who reads an answer to a question that had a schema."""

from typing import Any, Protocol

from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation


class Judge(Protocol):
    """Reads answers against schemas that callers wrote, and that may cost more time and memory than there is."""

    def read(self, text: str, schema: JsonSchema, cancellation: Cancellation) -> Any:
        """Return the JSON of an answer, which fits the schema.

        Raises `ValueError` for an answer that does not fit, `InvalidSchema` for a schema that cannot be used or costs
        too much, `JobCancelled` once `cancellation` is set, and `WorkerFailure` if nobody can be found to judge.
        """

    def stop(self) -> None:
        """Break off what is being read, and read nothing any more; harmless when repeated."""
