"""The check that keeps the GPU in order."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from singletrack_tasks.requests.request import Request
from singletrack_tasks.result import OperationResult


class TickResult(OperationResult):
    """Whether the VLM was unloaded for being idle; `merged` if another check had just been made, so none was."""

    idle_unloaded: bool = False
    merged: bool = False

    @property
    def done(self) -> str:
        """Whether the VLM was unloaded."""
        if self.merged:
            return "merged with the check before it"
        return "idle VLM unloaded" if self.idle_unloaded else "checked"


class Tick(Request[TickResult], task="gpu.upkeep.tick", kind="tick"):
    """Unload the VLM if it is idle, and repair deviations from the mode's contract.

    `every_s` is how often its sender sends one (seconds); None for a check that somebody asked for and waits for.
    """

    every_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """How often it is sent."""
        every_s = data.get("every_s")
        return f"every {every_s:g} s" if isinstance(every_s, int | float) else ""
