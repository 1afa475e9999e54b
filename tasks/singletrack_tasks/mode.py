"""Changes of the execution mode."""

from typing import Any

from celery import Task
from pydantic import Field

from singletrack_tasks.celery_tasks import JobRef, current, gpu_task
from singletrack_tasks.message import Request
from singletrack_tasks.result import OperationResult
from singletrack_tasks.status import ExecutionMode


class SetMode(Request):
    """A change to `mode`, which becomes the contract that every later check holds the GPU to."""

    mode: ExecutionMode


class ModeResult(OperationResult):
    """The modes before and after, with VRAM in use before and after (MiB, None without a GPU)."""

    before: ExecutionMode
    after: ExecutionMode
    vram_before_mb: int | None = Field(default=None, ge=0)
    vram_after_mb: int | None = Field(default=None, ge=0)

    @property
    def done(self) -> str:
        """The modes before and after."""
        return f"{self.before} -> {self.after}"


@gpu_task("gpu.mode.set")
def set_mode(self: "Task[Any, Any]", request: dict[str, Any]) -> ModeResult:
    """Change the execution mode."""
    return current().set_mode(SetMode.parse(request), JobRef(self.request.id or ""))
