"""The one list of everything that can be asked for."""

from typing import Any

from singletrack_tasks.embedding import EmbedImages, EmbedTexts, FindClip
from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.mode import SetMode
from singletrack_tasks.ping import Ping
from singletrack_tasks.request import Request
from singletrack_tasks.upkeep import Tick
from singletrack_tasks.vlm import Ask, LoadVlm, UnloadVlm

REQUESTS: tuple[type[Request[Any]], ...] = (
    SetMode,
    Ask,
    LoadVlm,
    UnloadVlm,
    EmbedImages,
    EmbedTexts,
    FindClip,
    Tick,
    Ping,
)

_BY_TASK = {request.TASK: request for request in REQUESTS}
_BY_KIND = {request.KIND: request for request in REQUESTS}


def checked(request: object) -> Request[Any]:
    """Return what is a request; raises `InvalidRequest`, which names those there are, for anything else."""
    if isinstance(request, REQUESTS):
        return request
    known = ", ".join(sorted(kind.__name__ for kind in REQUESTS))
    raise InvalidRequest(f"{type(request).__name__} is not a request; these are: {known}")


def request_of(task: str, data: Any) -> Request[Any]:
    """Read the request to a task; raises `InvalidRequest` for an unknown task, and for what it does not take."""
    if task not in _BY_TASK:
        raise InvalidRequest(f"{task!r} is not a task; these are: {', '.join(sorted(_BY_TASK))}")
    return _BY_TASK[task].parse(data)


def kind_of(task: str) -> str:
    """What status, logs and metrics call the operation of a task: its own name where it is unknown."""
    return _BY_TASK[task].KIND if task in _BY_TASK else task


def needs_vlm(kind: str) -> bool | None:
    """Whether an operation of this kind loads the VLM (True), unloads it (False), or leaves it as it is (None)."""
    return _BY_KIND[kind].NEEDS_VLM if kind in _BY_KIND else None


def outline(task: str, request: object) -> str:
    """Describe the JSON of a request to a task, also one that nobody has checked; '' where there is nothing to say."""
    if task not in _BY_TASK or not isinstance(request, dict):
        return ""
    return _BY_TASK[task].outline(request)
