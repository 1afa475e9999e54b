"""The list of all requests."""

from typing import Any

from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.requests.embedding import EmbedImages, EmbedTexts, FindClip
from singletrack_tasks.requests.intents import AnnounceVlm, WithdrawVlm
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_tasks.text import quoted

REQUESTS: tuple[type[Request[Any]], ...] = (
    SetMode,
    Ask,
    LoadVlm,
    UnloadVlm,
    AnnounceVlm,
    WithdrawVlm,
    EmbedImages,
    EmbedTexts,
    FindClip,
    Tick,
    Ping,
)

_BY_TASK = {request.TASK: request for request in REQUESTS}
_BY_KIND = {request.KIND: request for request in REQUESTS}


def checked(request: object) -> Request[Any]:
    """Return the object if it is a request, else raise `InvalidRequest`, which names the known ones."""
    if isinstance(request, REQUESTS):
        return request
    known = ", ".join(sorted(kind.__name__ for kind in REQUESTS))
    raise InvalidRequest(f"{type(request).__name__} is not a request; the requests are {known}")


def request_of(task: str, data: Any) -> Request[Any]:
    """Parse the request to a task; raises `InvalidRequest` for an unknown task or an invalid request."""
    if task not in _BY_TASK:
        raise InvalidRequest(f"{quoted(task)} is not a task; the tasks are {', '.join(sorted(_BY_TASK))}")
    return _BY_TASK[task].parse(data)


def kind_of(task: str) -> str:
    """Return the operation's name in status, logs and metrics; the task's own name if the task is unknown."""
    return _BY_TASK[task].KIND if task in _BY_TASK else task


def needs_vlm(kind: str) -> bool | None:
    """Return whether an operation of this kind loads the VLM (True), unloads it (False) or neither (None)."""
    return _BY_KIND[kind].NEEDS_VLM if kind in _BY_KIND else None


def outline(task: str, request: object) -> str:
    """Describe the JSON of a request to a task, validated or not; '' if there is nothing to say."""
    if task not in _BY_TASK or not isinstance(request, dict):
        return ""
    return _BY_TASK[task].outline(request)
