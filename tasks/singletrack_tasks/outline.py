"""A request in one short line, for logs and Flower: its size, and nothing of what is on anybody's screen."""

from collections.abc import Sized
from typing import Any

from singletrack_tasks.status import ExecutionMode


def outline(task: str, request: object) -> str:
    """Describe the JSON of a request to a task, also one that nobody has checked; '' where there is nothing to say."""
    if not isinstance(request, dict):
        return ""
    match task:
        case "gpu.mode.set":
            mode = request.get("mode")
            return f"mode={mode}" if mode in tuple(ExecutionMode) else ""
        case "gpu.vlm.ask":
            return _question(request)
        case "gpu.embed.images":
            return f"images={_size(request, 'images')}"
        case "gpu.embed.texts":
            return f"texts={_size(request, 'texts')}"
        case _:
            return ""


def _question(request: dict[Any, Any]) -> str:
    schema = ", with a schema" if request.get("json_schema") is not None else ""
    return f"prompt of {_size(request, 'prompt')} characters, images={_size(request, 'images')}{schema}"


def _size(request: dict[Any, Any], name: str) -> int:
    value = request.get(name)
    return len(value) if isinstance(value, Sized) else 0
