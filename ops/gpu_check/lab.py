"""What all sections have in common: the GPU, its driver, sizes that fit it, servers, strangers and benches."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_check.bench import Bench, Parts
from gpu_check.driver import CardDriver, Driver, NvmlDriver
from gpu_check.options import Options
from gpu_check.plants import Plant
from gpu_check.simulated_vram import CardVram
from singletrack_ops.stand_in.card import SimulatedCard
from singletrack_ops.stand_in.held import HeldMemory
from singletrack_ops.stand_in.memory import MemorySource
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_worker.assembly import build_vram
from singletrack_worker.gpu.clip.process import COMMAND
from singletrack_worker.gpu.tenants import Vram
from singletrack_worker.settings import GPUResourceConfig

SMALL, BIG, OTHER = "small:6g", "big:40g", "other:2g"
# Of the simulated card.
TOTAL_MB = 81_559
CLIP_MB = 900
_LIE_MB = 180
_PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Sizes:
    """The models of the check, in sizes that fit the GPU (MiB); `big_mb` 0 for a GPU that has room for one size."""

    small_mb: int
    big_mb: int
    other_mb: int

    @classmethod
    def of(cls, free_mb: int) -> "Sizes":
        """Choose them for what is free: the small one leaves room for CLIP beside it."""
        big_mb = int(free_mb * 0.55) if free_mb >= 20_000 else 0
        return cls(min(6144, int(free_mb * 0.4)), big_mb, min(2048, int(free_mb * 0.2)))

    @property
    def by_name(self) -> dict[str, int]:
        """The models by name."""
        there = {SMALL: self.small_mb, BIG: self.big_mb, OTHER: self.other_mb}
        return {name: size_mb for name, size_mb in there.items() if size_mb}


@dataclass(frozen=True)
class Lab:
    """One GPU, and what it is checked with; `weights` are of a real size, `tiny` ones load fast.

    `card` is None on a real GPU.
    """

    options: Options
    driver: Driver
    source: MemorySource
    sizes: Sizes
    weights: str
    tiny: str
    card: SimulatedCard | None = None

    @classmethod
    def of(cls, options: Options, driver: NvmlDriver | SimulatedCard, weights: str, tiny: str) -> "Lab":
        """Set one up on a real GPU or on a simulated card."""
        if isinstance(driver, SimulatedCard):
            card_driver, source = CardDriver(driver), MemorySource(card=driver.folder)
            return cls(options, card_driver, source, Sizes.of(driver.free_mb), weights, tiny, driver)
        source = MemorySource(cuda_index=options.gpu_index)
        return cls(options, driver, source, Sizes.of(driver.free_mb()), weights, tiny)

    @property
    def is_real(self) -> bool:
        """Whether this is a GPU that exists."""
        return self.card is None

    @property
    def clip_device(self) -> str:
        """What CLIP's device is called when it is on this GPU."""
        return f"cuda:{self.options.gpu_index}"

    def times(self, fast: int, whole: int) -> int:
        """How often to repeat something."""
        return fast if self.options.fast else whole

    def server(self) -> StandInOllama:
        """Start a server; the caller stops it."""
        return StandInOllama(self.sizes.by_name, self.source)

    def stranger(self, take_mb: int = 0, *, leave_mb: int | None = None, name: str = "stranger-prog") -> HeldMemory:
        """Start a process that takes memory (MiB), or all but so much; the caller ends it."""
        return HeldMemory(self.source, name, take_mb, leave_mb=leave_mb)

    def bench(
        self, server: StandInOllama, *, model: str = SMALL, tiny: bool = False, faulty: bool = False, **settings: Any
    ) -> Bench:
        """Make a bench with its own manager and tenants; `settings` are named as the fields of `GPUResourceConfig`."""
        config = self.config({"ollama_url": server.url, "vlm_model": model, **settings}, tiny=tiny)
        return Bench(Parts(config, self.vram(config), self.encoder(faulty=faulty)), server)

    def config(self, settings: Mapping[str, Any], *, tiny: bool) -> GPUResourceConfig:
        """Make a configuration, whatever the environment says."""
        base = {
            "gpu": "auto",
            "gpu_index": self.options.gpu_index,
            "clip_weights": self.tiny if tiny else self.weights,
            "tick_interval_s": 0.5,
            "idle_timeout_s": 3600.0,
            "retry_pause_s": 0.2,
        }
        return GPUResourceConfig(**{**base, **settings})

    def vram(self, config: GPUResourceConfig) -> Vram:
        """The driver as the product sees it."""
        if self.card is None:
            return build_vram(config)
        return CardVram(self.card, _LIE_MB if self.options.plant is Plant.LIE else 0)

    def encoder(self, *, faulty: bool = False) -> Sequence[str]:
        """The command line of CLIP's processes; a faulty one obeys `FAULT:` texts."""
        if self.card is not None:
            program = (sys.executable, "-P", str(_PROGRAMS / "simulated_encoder.py"))
            card = ("--card", str(self.card.folder), "--clip-mb", str(CLIP_MB))
            return (*program, *card, "--plant", self.options.plant or "")
        return (sys.executable, "-P", str(_PROGRAMS / "faulty_encoder.py")) if faulty else COMMAND
