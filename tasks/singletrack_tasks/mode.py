"""Changes of the execution mode."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from singletrack_tasks.request import Request
from singletrack_tasks.result import OperationResult
from singletrack_tasks.status import ExecutionMode

# Read off a message's headers by whoever foresees how long the queue takes.
MODE_HEADER = "mode"
# Modes that load the VLM, and modes that unload it.
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
    """A change to `mode`, which becomes the contract that every later check holds the GPU to."""

    mode: ExecutionMode

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Name the mode, if it is one."""
        mode = data.get("mode")
        return f"mode={mode}" if mode in tuple(ExecutionMode) else ""

    @property
    def headers(self) -> dict[str, Any]:
        """The mode as well, which tells whether the VLM has to be loaded on the way."""
        return {**super().headers, MODE_HEADER: str(self.mode)}
