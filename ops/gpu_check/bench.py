"""The product's own manager and tenants, and the stand-in server, driven without a queue."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Self, TypeVar

import psutil

from gpu_check.driver import seconds_until
from gpu_check.stores import KeptState, KeptSteps, make_stores
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_tasks.requests.embedding import EmbeddingResult, EmbedTexts
from singletrack_tasks.requests.mode import ModeResult, SetMode
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.upkeep import Tick, TickResult
from singletrack_tasks.requests.vlm import Ask, AskResult, UnloadVlm, VlmResult
from singletrack_tasks.result import OperationResult, StepName, StepReceipt
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, WorkerInfo
from singletrack_worker.assembly import build_tenants
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.judging.judge_process import JudgeProcess
from singletrack_worker.gpu.manager import GPUResourceManager
from singletrack_worker.gpu.snapshots import Identity
from singletrack_worker.gpu.tenants import Clip, Vram
from singletrack_worker.settings import GPUResourceConfig

R = TypeVar("R", bound=OperationResult)

GPU = "cuda"
# A spare that has computed nothing for this long has imported all that it will.
_AT_REST_S = 0.4
_WARM_LIMIT_S = 120.0
_GONE_LIMIT_S = 30.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Parts:
    """What a bench is made of: the command line of its encoders and the driver as the product sees it."""

    config: GPUResourceConfig
    vram: Vram
    encoder: Sequence[str]


class Bench:
    """A manager at work; on leaving it nothing of it is on the GPU any more."""

    def __init__(self, parts: Parts, server: StandInOllama) -> None:
        self.config, self.server = parts.config, server
        self.memory, self.steps = KeptState(), KeptSteps()
        clock = SystemClock()
        tenants = build_tenants(parts.config, clock, parts.vram, encoder=lambda: parts.encoder)
        self.clip: Clip = tenants.clip
        info = WorkerInfo(host="here", pid=os.getpid(), release=version("singletrack"), started_unix_s=clock.time())
        self._manager = GPUResourceManager(
            parts.config,
            tenants,
            make_stores(self.memory, self.steps),
            clock,
            Identity(info, lambda: None),
            JudgeProcess(),
        )
        self._jobs = 0

    def __enter__(self) -> Self:
        self._manager.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._manager.stop()
        for name in self.server.loaded:
            self.server.models.send_away(name)
        seconds_until(lambda: not self.server.loaded, limit_s=_GONE_LIMIT_S)

    def mode(self, name: str) -> ModeResult:
        """Change the mode."""
        return self._run(SetMode(mode=ExecutionMode(name)))

    def ask(self, prompt: str = "What is this?") -> AskResult:
        """Put a question."""
        return self._run(Ask(prompt=prompt))

    def unload(self) -> VlmResult:
        """Unload the VLM."""
        return self._run(UnloadVlm())

    def tick(self) -> TickResult:
        """Make a check."""
        return self._run(Tick())

    def texts(self, *texts: str) -> EmbeddingResult:
        """Embed texts."""
        return self._run(EmbedTexts(texts=texts))

    def empty(self) -> None:
        """Take both tenants off the GPU, whatever the state; the mode is IDLE then."""
        self.mode("RECORDING")
        self.mode("IDLE")
        self.unload()

    def next_tick(self) -> TickResult:
        """Make a check when the next one is due."""
        time.sleep(self.config.tick_interval_s * 1.05)
        return self.tick()

    def idle_tick(self) -> TickResult:
        """Make a check once the VLM has been idle for long enough."""
        time.sleep(self.config.idle_timeout_s + 0.3)
        return self.tick()

    def ticks_until_healthy(self, limit: int) -> int | None:
        """Make checks until CLIP is on the GPU without a reason; returns how many, None if more than `limit`."""
        for number in range(1, limit + 1):
            self.next_tick()
            if self.on_gpu and not self.codes:
                return number
        return None

    @property
    def status(self) -> GPUResourceStatus:
        """The status now."""
        return self._manager.status()

    @property
    def codes(self) -> list[str]:
        """Why it is degraded."""
        return sorted(str(reason.code) for reason in self.status.reasons)

    @property
    def on_gpu(self) -> bool:
        """Whether CLIP is on the GPU."""
        return self.clip.device.startswith(GPU)

    @property
    def listed(self) -> bool:
        """Whether the server lists any model as loaded."""
        return bool(self.server.loaded)

    def footprint_mb(self, tenant: str) -> int:
        """The memory that `clip` or `vlm` was measured to take (MiB), 0 if it was not."""
        prints = self.memory.state.footprints_mb
        return next((mb for key, mb in prints.items() if key.startswith(f"{tenant}:")), 0)

    def spare_pid(self) -> int | None:
        """The process that waits to become the next encoder on the GPU, None if there is none."""
        return spare_pid(self.clip)

    def wait_spare(self) -> int | None:
        """Wait until there is a warm spare; returns its process."""
        return wait_spare(self.clip)

    def _run(self, request: Request[R]) -> R:
        self._jobs += 1
        return self._manager.run(request, JobRef(f"check-{self._jobs}"))


def spare_pid(clip: Clip) -> int | None:
    """Find the encoder process of this program's that serves nobody; holders of memory are no encoders."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if child.pid not in clip.pids and _is_encoder(child.cmdline()):
                return child.pid
    return None


def wait_spare(clip: Clip) -> int | None:
    """Wait until the spare has imported all that it will, as it has in the time between two changes of mode."""
    pid = spare_pid(clip)
    if pid is None:
        return None
    with suppress(psutil.Error):
        process, before_s, since_s = psutil.Process(pid), -1.0, time.monotonic()
        deadline_s = since_s + _WARM_LIMIT_S
        while time.monotonic() < deadline_s and time.monotonic() - since_s < _AT_REST_S:
            times = process.cpu_times()
            # One that could run and is not let to, or that waits for a disk, is not at rest.
            if times.user + times.system != before_s or process.status() != psutil.STATUS_SLEEPING:
                before_s, since_s = times.user + times.system, time.monotonic()
            time.sleep(_POLL_S)
    return pid


def steps_of(result: OperationResult) -> list[StepName]:
    """The names of the steps of an operation."""
    return [receipt.step for receipt in result.receipts]


def receipt_of(result: OperationResult, step: StepName) -> StepReceipt | None:
    """The receipt of a step, None if it was not made."""
    return next((receipt for receipt in result.receipts if receipt.step == step), None)


def shown(result: OperationResult) -> list[dict[str, Any]]:
    """The receipts of an operation, for people."""
    return [receipt.model_dump(mode="json", exclude_defaults=True) for receipt in result.receipts]


def _is_encoder(command: Sequence[str]) -> bool:
    return any("encoder" in word or word.endswith("clip.program") for word in command)
