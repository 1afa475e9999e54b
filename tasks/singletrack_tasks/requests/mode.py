"""Changes of the execution mode."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from singletrack_tasks.requests.request import Request
from singletrack_tasks.result import OperationResult
from singletrack_tasks.status import ExecutionMode

# Lets a client forecast the queue from the headers of its messages.
MODE_HEADER = "mode"
# Whether changing to a mode loads the VLM or unloads it; a mode that does neither has no entry.
VLM_IN_MODE = {ExecutionMode.RECORDING: True, ExecutionMode.AUTOPILOT: False}


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


class SetMode(Request[ModeResult], task="gpu.mode.set", kind="mode"):
    """A change to `mode`, the contract that every later check holds the GPU to."""

    mode: ExecutionMode

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Name the mode, if it is valid."""
        mode = data.get("mode")
        return f"mode={mode}" if mode in tuple(ExecutionMode) else ""

    @property
    def headers(self) -> dict[str, Any]:
        """The headers of every request, and the mode."""
        return {**super().headers, MODE_HEADER: str(self.mode)}
