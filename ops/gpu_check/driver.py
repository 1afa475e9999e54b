"""The GPU's memory, read by the check's own hands: nothing that is checked takes part in it."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from singletrack_ops.errors import OpsError
from singletrack_ops.stand_in.card import SimulatedCard

_MIB = 1024 * 1024
_POLL_S = 0.02
_FAST_POLL_S = 0.002


class Driver(Protocol):
    """One GPU's memory (MiB)."""

    @property
    def name(self) -> str:
        """What the GPU is called."""

    def used_mb(self) -> int:
        """Read what is in use."""

    def free_mb(self) -> int:
        """Read what is free."""

    def held_mb(self) -> dict[int, int | None]:
        """List what each process holds, by pid; None where the driver does not say."""


class NvmlDriver:
    """A real GPU, by its index in the driver's order; raises `OpsError`, which says what to do, where there is none."""

    def __init__(self, index: int) -> None:
        try:
            import pynvml
        except ImportError as error:
            raise OpsError("nvidia-ml-py is not installed: run `pip install 'singletrack[worker]'`") from error
        self.nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
            self.handle: Any = pynvml.nvmlDeviceGetHandleByIndex(index)
            self._name = str(pynvml.nvmlDeviceGetName(self.handle))
        except pynvml.NVMLError as error:
            raise OpsError(
                f"there is no usable NVIDIA GPU {index} here ({error}): run this on a GPU host where `nvidia-smi` works"
            ) from error

    @property
    def name(self) -> str:
        """What the GPU is called."""
        return self._name

    def used_mb(self) -> int:
        """Read what is in use; what the driver keeps for itself counts, since nobody else can have it."""
        memory = self.nvml.nvmlDeviceGetMemoryInfo(self.handle)
        return int(memory.total - memory.free) // _MIB

    def free_mb(self) -> int:
        """Read what is free."""
        return int(self.nvml.nvmlDeviceGetMemoryInfo(self.handle).free) // _MIB

    def held_mb(self) -> dict[int, int | None]:
        """List what each process holds that computes."""
        listed = self.nvml.nvmlDeviceGetComputeRunningProcesses(self.handle)
        return {it.pid: None if it.usedGpuMemory is None else it.usedGpuMemory // _MIB for it in listed}


class CardDriver:
    """A simulated card."""

    def __init__(self, card: SimulatedCard) -> None:
        self._card = card

    @property
    def name(self) -> str:
        """What it is called."""
        return f"simulated {self._card.total_mb / 1024:.0f} GiB GPU"

    def used_mb(self) -> int:
        """Read what is in use."""
        return self._card.used_mb

    def free_mb(self) -> int:
        """Read what is free."""
        return self._card.free_mb

    def held_mb(self) -> dict[int, int | None]:
        """List what each process holds."""
        return {holding.pid: holding.held_mb for holding in self._card.holdings() if holding.held_mb}


def settled_mb(driver: Driver, *, rest_s: float = 0.6, limit_s: float = 8.0) -> int:
    """Return what is in use (MiB) once that has not changed for `rest_s`, or after `limit_s`."""
    began_s = since_s = time.monotonic()
    last_mb = driver.used_mb()
    while (now_s := time.monotonic()) - began_s < limit_s and now_s - since_s < rest_s:
        time.sleep(_POLL_S)
        now_mb = driver.used_mb()
        if now_mb != last_mb:
            last_mb, since_s = now_mb, time.monotonic()
    return last_mb


def seconds_until(condition: Callable[[], bool], *, limit_s: float) -> float | None:
    """Wait for a condition; returns how long that took, None if it does not come in time."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > limit_s:
            return None
        time.sleep(_FAST_POLL_S)
    return time.monotonic() - began_s


def came_back_mb(driver: Driver, empty_mb: int, *, within_mb: int, limit_s: float = 10.0) -> tuple[int, float | None]:
    """Wait until what is in use is within so much of `empty_mb`; returns how much came back meanwhile, and when.

    The time is None if it did not come back in time (MiB, seconds).
    """
    before_mb = driver.used_mb()
    took_s = seconds_until(lambda: driver.used_mb() - empty_mb <= within_mb, limit_s=limit_s)
    return before_mb - driver.used_mb(), took_s
