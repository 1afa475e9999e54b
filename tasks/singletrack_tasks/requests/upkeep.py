"""The check that keeps the GPU in order."""

from singletrack_tasks.requests.request import Request
from singletrack_tasks.result import OperationResult


class TickResult(OperationResult):
    """Whether the VLM was unloaded for being idle."""

    idle_unloaded: bool = False

    @property
    def done(self) -> str:
        """Whether the VLM was unloaded."""
        return "idle VLM unloaded" if self.idle_unloaded else "checked"


class Tick(Request[TickResult], task="gpu.upkeep.tick", kind="tick"):
    """Unload the VLM if it is idle, and repair deviations from the mode's contract."""
