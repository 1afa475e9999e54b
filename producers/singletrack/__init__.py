"""What an agent imports: a client of the GPU queue, and the command line.

The names below are loaded when they are first used, so that `import singletrack` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singletrack.answers import Answer, Embeddings
    from singletrack.async_client import AsyncClient, AsyncJob
    from singletrack.client import Client
    from singletrack.job import Job, JobState
    from singletrack_tasks import errors
    from singletrack_tasks.dead_letter import DeadLetter
    from singletrack_tasks.status import ExecutionMode
    from singletrack_tasks.vlm import VlmOptions

    __version__: str

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncJob",
    "Client",
    "DeadLetter",
    "Embeddings",
    "ExecutionMode",
    "Job",
    "JobState",
    "VlmOptions",
    "errors",
]

_HOMES = {
    "Answer": "singletrack.answers",
    "AsyncClient": "singletrack.async_client",
    "AsyncJob": "singletrack.async_client",
    "Client": "singletrack.client",
    "DeadLetter": "singletrack_tasks.dead_letter",
    "Embeddings": "singletrack.answers",
    "ExecutionMode": "singletrack_tasks.status",
    "Job": "singletrack.job",
    "JobState": "singletrack.job",
    "VlmOptions": "singletrack_tasks.vlm",
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
