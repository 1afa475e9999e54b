"""The package that an agent imports: a client of the GPU queue, and the command line.

The names below are imported on first use, so that `import singletrack` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singletrack.aio.answer_stream import AsyncAnswerStream
    from singletrack.aio.client import AsyncClient
    from singletrack.aio.job import AsyncJob
    from singletrack.answer_stream import AnswerStream, Piece
    from singletrack.answers import Answer, Embeddings
    from singletrack.client import Client
    from singletrack.job import Job, JobState
    from singletrack.reading.progress import Progress
    from singletrack_tasks import errors
    from singletrack_tasks.dead_letter import DeadLetter
    from singletrack_tasks.requests.vlm import VlmOptions
    from singletrack_tasks.status import ExecutionMode

    __version__: str

__all__ = [
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncClient",
    "AsyncJob",
    "Client",
    "DeadLetter",
    "Embeddings",
    "ExecutionMode",
    "Job",
    "JobState",
    "Piece",
    "Progress",
    "VlmOptions",
    "errors",
]

_HOMES = {
    "Progress": "singletrack.reading.progress",
    "Piece": "singletrack.answer_stream",
    "AsyncAnswerStream": "singletrack.aio.answer_stream",
    "AnswerStream": "singletrack.answer_stream",
    "Answer": "singletrack.answers",
    "AsyncClient": "singletrack.aio.client",
    "AsyncJob": "singletrack.aio.job",
    "Client": "singletrack.client",
    "DeadLetter": "singletrack_tasks.dead_letter",
    "Embeddings": "singletrack.answers",
    "ExecutionMode": "singletrack_tasks.status",
    "Job": "singletrack.job",
    "JobState": "singletrack.job",
    "VlmOptions": "singletrack_tasks.requests.vlm",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("singletrack_tasks.errors")
    if name == "__version__":
        return import_module("importlib.metadata").version("singletrack")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
