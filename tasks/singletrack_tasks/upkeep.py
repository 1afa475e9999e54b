"""What keeps the GPU in order, and what only looks at it."""

from typing import Any

from celery import Task

from singletrack_tasks.celery_tasks import JobRef, current, gpu_task
from singletrack_tasks.message import Request
from singletrack_tasks.result import OperationResult

TICK = "gpu.upkeep.tick"


class Tick(Request):
    """Unload the VLM if it is idle, and compare what the mode demands with what is there."""


class TickResult(OperationResult):
    """Whether the VLM was unloaded for being idle."""

    idle_unloaded: bool = False

    @property
    def done(self) -> str:
        """Whether the VLM was sent away."""
        return "idle VLM unloaded" if self.idle_unloaded else "checked"


class FindClip(Request):
    """Ask the encoder that serves which device its weights are on."""


class FindClipResult(OperationResult):
    """The device, `cpu` or `cuda:n`, as the encoder process read it off its weights."""

    device: str

    @property
    def done(self) -> str:
        """Where CLIP is."""
        return f"CLIP on {self.device}"


class Ping(Request):
    """Take a turn and do nothing."""


class PingResult(OperationResult):
    """The track that answered."""

    track: str

    @property
    def done(self) -> str:
        """That it answered."""
        return "answered"


@gpu_task(TICK)
def tick(self: "Task[Any, Any]", request: dict[str, Any]) -> TickResult:
    """Unload an idle VLM and mend what differs from the mode's contract."""
    return current().tick(Tick.parse(request), JobRef(self.request.id or ""))


@gpu_task("gpu.clip.device")
def find_clip(self: "Task[Any, Any]", request: dict[str, Any]) -> FindClipResult:
    """Name the device that CLIP is really on."""
    return current().find_clip(FindClip.parse(request), JobRef(self.request.id or ""))


@gpu_task("gpu.ping")
def ping(self: "Task[Any, Any]", request: dict[str, Any]) -> PingResult:
    """Take a turn and do nothing."""
    return current().ping(Ping.parse(request), JobRef(self.request.id or ""))
