"""Where the memory comes from that a stand-in's process holds: a GPU through CUDA, a simulated one, or nowhere."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from singletrack_ops.errors import OpsError
from singletrack_ops.stand_in.card import SimulatedCard

_MIB = 1024 * 1024
_CHUNK_MB = 64
_SMALLEST_MB = 2
_PLENTY_MB = 1 << 40


class GpuMemory(Protocol):
    """Memory of one GPU, for the process that holds it (MiB)."""

    def free_mb(self) -> int:
        """Return how much is free."""

    def take(self, wanted_mb: int) -> int:
        """Take memory until this process ends, as much as there is; returns what was had."""


@dataclass(frozen=True)
class MemorySource:
    """Which memory: of the GPU with that index in the driver's order, of the simulated card in that folder, or none."""

    cuda_index: int | None = None
    card: Path | None = None

    def open(self, name: str) -> GpuMemory:
        """Open it in this process, which is called `name`; raises `OpsError` without CUDA."""
        if self.cuda_index is not None:
            return CudaMemory(self.cuda_index)
        return NoMemory() if self.card is None else CardMemory(SimulatedCard(self.card), name)


class CudaMemory:
    """As much of CUDA's driver API as an allocation takes; needs `CUDA_DEVICE_ORDER=PCI_BUS_ID` in the environment.

    Raises `OpsError` where there is no driver or no such GPU.
    """

    def __init__(self, index: int) -> None:
        try:
            self._cuda = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise OpsError(f"there is no CUDA driver here: {error}") from error
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuInit", 0)
        self._call("cuDeviceGet", ctypes.byref(device), index)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)

    def free_mb(self) -> int:
        """Return how much is free (MiB)."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value // _MIB

    def take(self, wanted_mb: int) -> int:
        """Allocate and write to it, in smaller pieces near the end; returns what was had (MiB)."""
        had_mb, step_mb = 0, _CHUNK_MB
        while had_mb < wanted_mb and step_mb >= _SMALLEST_MB:
            piece_mb = min(step_mb, wanted_mb - had_mb)
            pointer, size = ctypes.c_uint64(), ctypes.c_size_t(piece_mb * _MIB)
            if self._cuda.cuMemAlloc_v2(ctypes.byref(pointer), size):
                step_mb //= 2
                continue
            self._call("cuMemsetD8_v2", pointer, ctypes.c_ubyte(1), size)
            had_mb += piece_mb
        self._call("cuCtxSynchronize")
        return had_mb

    def _call(self, function: str, *arguments: object) -> None:
        code = getattr(self._cuda, function)(*arguments)
        if code:
            raise OpsError(f"{function} failed with CUresult {code}")


class CardMemory:
    """The memory of a simulated card."""

    def __init__(self, card: SimulatedCard, name: str) -> None:
        self._card = card
        self._name = name

    def free_mb(self) -> int:
        """Return how much is free (MiB)."""
        return self._card.free_mb

    def take(self, wanted_mb: int) -> int:
        """Take it from the card (MiB)."""
        return self._card.take(self._name, wanted_mb)


class NoMemory:
    """Nothing is held anywhere, and there is always room: for what has its memory accounted elsewhere."""

    def free_mb(self) -> int:
        """Return more than anybody asks for (MiB)."""
        return _PLENTY_MB

    def take(self, wanted_mb: int) -> int:
        """Return what was asked for (MiB)."""
        return wanted_mb
