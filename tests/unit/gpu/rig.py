"""A manager among fakes, with its parts in reach."""

from typing import Any

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.requests.mode import ModeResult, SetMode
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.upkeep import Tick, TickResult
from singletrack_tasks.result import DegradedCode, StepName
from singletrack_tasks.status import ExecutionMode, WorkerInfo
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.judge import Judge
from singletrack_worker.gpu.known.receipts import Move
from singletrack_worker.gpu.manager import GPUResourceManager
from singletrack_worker.gpu.moving.moves import Mover
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.snapshots import Identity
from singletrack_worker.gpu.tenants import Tenants, Vram
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from singletrack_worker.gpu.vram.vram_monitor import NoGpu
from singletrack_worker.settings import GPUResourceConfig
from tests.fakes import FakeClip, FakeClock, FakeJudge, FakeVlm, History, MemoryStores

VLM_MB, CLIP_MB, DESKTOP_MB = 5600, 1100, 300


class Rig:
    """The manager of a GPU of `total_mb` MiB (None: of none), not started; `settings` go to its configuration."""

    def __init__(self, total_mb: int | None = 8192, *, judge: Judge | None = None, **settings: Any) -> None:
        self.judge = judge or FakeJudge()
        self.clock = FakeClock()
        self.vram: Vram = NoGpu("no driver") if total_mb is None else SimulatedGpu(total_mb, DESKTOP_MB)
        self.history = History(self.clock)
        self.vlm = FakeVlm(self.vram, self.clock, self.history, size_mb=VLM_MB)
        self.clip = FakeClip(self.vram, self.clock, self.history, size_mb=CLIP_MB)
        self.stores = MemoryStores()
        self.config = GPUResourceConfig(vlm_model=self.vlm.model, clip_mb=CLIP_MB, **settings)
        self.manager = self.new_manager()

    def new_manager(self) -> GPUResourceManager:
        """Make another worker's manager over the same stores."""
        stores = self.stores
        worker = WorkerInfo(host="here", pid=1, release="test", started_unix_s=self.clock.time())
        return GPUResourceManager(
            self.config,
            Tenants(self.vram, self.vlm, self.clip),
            stores.all(),
            self.clock,
            Identity(worker, lambda: None),
            self.judge,
        )

    @property
    def mover(self) -> Mover:
        """The manager's mover."""
        return self.manager._bench.transitions._mover

    @property
    def observer(self) -> Observer:
        """The manager's observer."""
        return self.manager._observer

    def started(self) -> "Rig":
        """Start the manager."""
        self.manager.start()
        return self

    def set_mode(self, mode: ExecutionMode) -> ModeResult:
        """Change the mode."""
        return self.manager.run(SetMode(mode=mode), JobRef("mode"))

    def tick(self, after_s: float = 0.0) -> TickResult:
        """Let time pass, and tick."""
        self.clock.advance(after_s)
        return self.manager.run(Tick(), JobRef("tick"))

    def move(self, step: StepName, demand: Demand = Demand.UPKEEP) -> Move:
        """Look, and make one step."""
        self.observer.observe()
        return self.mover.make(step, demand, Cancellation())

    def codes(self) -> set[DegradedCode]:
        """The reasons for degraded mode."""
        return {reason.code for reason in self.manager.status().reasons}

    def kinds(self) -> list[str]:
        """The kinds of the events so far."""
        return [event.kind for event in self.stores.publisher.events]

    def used_mb(self) -> int:
        """VRAM in use."""
        vram = self.vram.read()
        assert vram is not None
        return vram.used_mb


def failure(move: Move) -> SingletrackError:
    """The error of a move that failed."""
    assert move.error is not None
    return move.error
