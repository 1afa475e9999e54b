"""Changes of the execution mode."""

from typing import Any

from celery import Task, shared_task
from pydantic import Field

from singletrack_tasks.gpu import Job, current, typed_errors
from singletrack_tasks.model import Request
from singletrack_tasks.status import ExecutionMode, OperationResult


class SetMode(Request):
    """A change to `mode`, which becomes the contract that every later check holds the GPU to."""

    mode: ExecutionMode


class ModeResult(OperationResult):
    """The modes before and after, with VRAM in use before and after (MiB, None without a GPU)."""

    before: ExecutionMode
    after: ExecutionMode
    vram_before_mb: int | None = Field(default=None, ge=0)
    vram_after_mb: int | None = Field(default=None, ge=0)


@shared_task(name="gpu.mode.set", bind=True)
@typed_errors
def set_mode(self: "Task[Any, Any]", request: dict[str, Any]) -> dict[str, Any]:
    """Change the execution mode."""
    return current().set_mode(SetMode.parse(request), Job(self.request.id or "")).dump()
