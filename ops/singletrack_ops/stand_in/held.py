"""Memory of a GPU that a process of its own holds, as its starter sees it."""

import json
import os
import subprocess
import sys
from typing import IO, Any, Literal, cast

import psutil

from singletrack_ops.errors import OpsError
from singletrack_ops.stand_in.memory import MemorySource

# What happens where there is less room than wanted: it takes what there is, leaves a little free, or fails.
Short = Literal["take", "partial", "fail"]
_END_WAIT_S = 30.0


class HeldMemory:
    """A process that holds memory (MiB) until it is ended; it ends with its starter, too.

    `leave_mb` takes everything but so much. Raises `OpsError` if it could not take it.
    """

    def __init__(
        self,
        source: MemorySource,
        name: str,
        take_mb: int = 0,
        *,
        leave_mb: int | None = None,
        short: Short = "take",
    ) -> None:
        command = [sys.executable, "-P", "-m", "singletrack_ops.stand_in.holder", "--name", name]
        command += ["--take-mb", str(take_mb), "--short", short]
        command += [] if leave_mb is None else ["--leave-mb", str(leave_mb)]
        command += [] if source.cuda_index is None else ["--cuda", str(source.cuda_index)]
        command += [] if source.card is None else ["--card", str(source.card)]
        self._process = subprocess.Popen(
            command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        first = self._hear()
        if "error" in first:
            self.end()
            raise OpsError(str(first["error"]))
        self.had_mb, self.wanted_mb = int(first["had_mb"]), int(first["wanted_mb"])

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def grow(self, more_mb: int) -> None:
        """Take more (MiB)."""
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(f"grow {more_mb}\n")
        stdin.flush()
        self._hear()

    def end(self) -> None:
        """Kill the process and wait until it is gone; harmless when repeated."""
        if self.alive:
            psutil.Process(self.pid).kill()
        self._process.wait(_END_WAIT_S)
        for pipe in (self._process.stdin, self._process.stdout):
            cast("IO[str]", pipe).close()

    def _hear(self) -> dict[str, Any]:
        line = cast("IO[str]", self._process.stdout).readline()
        heard: dict[str, Any] = json.loads(line or '{"error": "the process that was to hold memory died"}')
        return heard


def _environment() -> dict[str, str]:
    """The environment in which CUDA counts GPUs as the driver does."""
    seen = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return {**seen, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
