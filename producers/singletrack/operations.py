"""Which task answers which request, and with what."""

from dataclasses import dataclass
from typing import Any

from singletrack_tasks.embedding import EmbeddingResult, EmbedImages, EmbedTexts
from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.message import Request
from singletrack_tasks.mode import ModeResult, SetMode
from singletrack_tasks.queue_survey import MODE_HEADER, SENT_HEADER
from singletrack_tasks.result import OperationResult
from singletrack_tasks.upkeep import TICK, FindClip, FindClipResult, Ping, PingResult, Tick, TickResult
from singletrack_tasks.vlm import Ask, AskResult, LoadVlm, UnloadVlm, VlmResult


@dataclass(frozen=True)
class Operation:
    """The wire name of a task, and the type of its result."""

    task: str
    result: type[OperationResult]


# The names are part of the wire format. A task's own `name` would do, but reading it sets up a Celery app.
_OPERATIONS: dict[type[Request], Operation] = {
    SetMode: Operation("gpu.mode.set", ModeResult),
    Ask: Operation("gpu.vlm.ask", AskResult),
    LoadVlm: Operation("gpu.vlm.load", VlmResult),
    UnloadVlm: Operation("gpu.vlm.unload", VlmResult),
    EmbedImages: Operation("gpu.embed.images", EmbeddingResult),
    EmbedTexts: Operation("gpu.embed.texts", EmbeddingResult),
    FindClip: Operation("gpu.clip.device", FindClipResult),
    Ping: Operation("gpu.ping", PingResult),
    Tick: Operation(TICK, TickResult),
}


def operation_of(request: Request) -> Operation:
    """Find the operation that a request asks for; raises `InvalidRequest` for what is no request."""
    try:
        return _OPERATIONS[type(request)]
    except KeyError:
        known = ", ".join(sorted(kind.__name__ for kind in _OPERATIONS))
        raise InvalidRequest(f"{type(request).__name__} is no request; these are: {known}") from None


def request_of(task: str, data: Any) -> Request:
    """Read the request to a task; raises `InvalidRequest` for a task that is none, and for what it does not take."""
    for kind, operation in _OPERATIONS.items():
        if operation.task == task:
            return kind.parse(data)
    known = ", ".join(sorted(operation.task for operation in _OPERATIONS.values()))
    raise InvalidRequest(f"{task!r} is no task; these are: {known}")


def headers(request: Request, sent_unix_s: float) -> dict[str, Any]:
    """What whoever looks at the queue can read of a request without opening it."""
    mode = {MODE_HEADER: str(request.mode)} if isinstance(request, SetMode) else {}
    return {SENT_HEADER: round(sent_unix_s, 3), **mode}
