"""The memory of the GPU as the NVIDIA driver reports it, through NVML."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

import psutil

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import GpuInfo, VRAMInfo
from singletrack_tasks.text import writable
from singletrack_worker.gpu.cuda_visibility import VISIBLE
from singletrack_worker.gpu.vram.cards import NvmlCard, choose, handle_of, list_cards, text_of
from singletrack_worker.gpu.vram.memory import MemoryUntold, explain, read_memory

# How long a driver that failed again right after it was opened is left alone.
OPEN_AGAIN_S = 1.0
# How often a worker that started without a GPU looks whether there is one now.
LOOK_AGAIN_S = 60.0
_OPEN_TRIES = 3
_CLOSE_S = 5.0
_MIB = 1024 * 1024
_log = logging.getLogger(__name__)


class VRAMMonitor:
    """Reads one GPU, by its index in NVML's order (that of `nvidia-smi`) or by its UUID; `choose` says which.

    A driver that fails is opened anew: which GPU it is stays known, and only readings are missing meanwhile. Raises
    `InvalidConfiguration` for a GPU that a machine with a driver does not have: that is a mistake, not a reason to run
    silently on the CPU. Safe from any thread.
    """

    def __init__(
        self,
        wanted: str | None = None,
        environ: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._environ = environ
        self._monotonic = monotonic
        self._lock = threading.RLock()
        # The bindings: of a GPU that was found, or of a driver that had none to offer.
        self._nvml: ModuleType | None = None
        self._without: ModuleType | None = None
        self._card: NvmlCard | None = None
        self._handle: Any = None
        self._gpu: GpuInfo | None = None
        self._reason = ""
        self._open_again_s = 0.0
        self._open()

    @property
    def gpu(self) -> GpuInfo | None:
        """Which GPU this is, None where there is none; it stays known while the driver does not answer."""
        return self._gpu

    @property
    def reason(self) -> str:
        """Why there is no GPU, or no reading of it, and what to do; empty after a reading."""
        return self._reason

    def read(self) -> VRAMInfo | None:
        """Read the memory now (MiB), None without a GPU, and while the driver tells nothing.

        After an error the driver is opened anew, and asked again.
        """
        with self._lock:
            if self._nvml is None or self._card is None:
                self._look_for_late_gpu()
                return None
            try:
                vram = self._read_twice(self._nvml, self._card)
            except MemoryUntold as error:
                self._miss(str(error))
                return None
            if vram is not None and self._reason:
                _log.info("the NVIDIA driver answers again for the GPU")
                self._reason = ""
            return vram

    def processes(self) -> tuple[GpuProcess, ...]:
        """List the processes that have memory on the GPU (MiB), by pid.

        Empty where the driver does not list them, as in WSL; a container sees only its own, or none.
        """
        with self._lock:
            nvml = self._nvml
            if nvml is None or self._handle is None:
                return ()
            used_mb: dict[int, int | None] = {}
            for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
                for process in self._listed(nvml, ask):
                    # A process that computes and draws is in both lists, each time with all of its memory.
                    used_mb[process.pid] = _mb(process.usedGpuMemory) or used_mb.get(process.pid)
            return tuple(GpuProcess(pid=pid, name=_name(nvml, pid), vram_mb=mb) for pid, mb in sorted(used_mb.items()))

    def close(self) -> None:
        """Let go of the driver for good; harmless when repeated, and from any thread."""
        # A driver that hangs must not keep the worker from ending.
        if not self._lock.acquire(timeout=_CLOSE_S):
            return
        try:
            if self._nvml is not None:
                self._shut(self._nvml)
            self._nvml = self._without = None
        finally:
            self._lock.release()

    def _open(self) -> None:
        try:
            import pynvml
        except ImportError:
            self._reason = "the package nvidia-ml-py is not installed: pip install 'singletrack[worker]'"
            return
        self._without = pynvml
        self._open_again_s = self._monotonic() + LOOK_AGAIN_S
        for _ in range(_OPEN_TRIES):
            try:
                pynvml.nvmlInit()
                self._find(pynvml)
            except (pynvml.NVMLError_DriverNotLoaded, pynvml.NVMLError_LibraryNotFound) as error:
                self._miss(f"no NVIDIA driver ({error}): everything runs on the CPU")
                return
            except pynvml.NVMLError as error:
                self._shut(pynvml)
                failure = error
            except InvalidConfiguration:
                self._shut(pynvml)
                raise
            else:
                return
        self._miss(
            f"the NVIDIA driver does not answer: {explain(pynvml, failure)} Everything runs on the CPU until the "
            "worker is restarted."
        )

    def _find(self, nvml: ModuleType) -> None:
        cards = list_cards(nvml)
        card = choose(cards, self._wanted, self._environ)
        if card is None:
            self._shut(nvml)
            self._without = None
            why = f"{VISIBLE} hides every GPU" if cards else "the NVIDIA driver finds no GPU"
            self._miss(f"{why}: everything runs on the CPU")
            return
        self._handle = handle_of(nvml, card)
        unified = False
        with suppress(MemoryUntold):  # which GPU it is, is known
            _, unified = read_memory(nvml, self._handle)
        if unified:
            _log.warning("%s shares the system's memory: the figures are the system's", card)
        self._nvml, self._card, self._without = nvml, card, None
        self._open_again_s = 0.0
        self._gpu = GpuInfo(
            name=card.name, uuid=card.uuid or f"unreadable-{card.index}", index=card.index, unified_memory=unified
        )

    def _read_twice(self, nvml: ModuleType, card: NvmlCard) -> VRAMInfo | None:
        """Read, and again from a driver that was opened anew; raises `MemoryUntold`."""
        if self._handle is not None:
            try:
                return read_memory(nvml, self._handle)[0]
            except nvml.NVMLError as error:
                _log.debug("the NVIDIA driver is opened anew: %s", error)
                self._shut(nvml)
        now_s = self._monotonic()
        if now_s < self._open_again_s:
            return None
        self._open_again_s = now_s + OPEN_AGAIN_S
        try:
            nvml.nvmlInit()
            self._handle = handle_of(nvml, card)
            return read_memory(nvml, self._handle)[0]
        except nvml.NVMLError as error:
            self._shut(nvml)
            self._miss(f"the NVIDIA driver does not answer for {card}: {explain(nvml, error)}")
            return None

    def _look_for_late_gpu(self) -> None:
        """Say so if there is a GPU after all: the worker has taken the track's lock and not its, and does without."""
        nvml, now_s = self._without, self._monotonic()
        if nvml is None or now_s < self._open_again_s:
            return
        self._open_again_s = now_s + LOOK_AGAIN_S
        card = None
        with suppress(nvml.NVMLError, InvalidConfiguration):
            nvml.nvmlInit()
            card = choose(list_cards(nvml), self._wanted, self._environ)
        self._shut(nvml)
        if card is not None:
            self._miss(f"the NVIDIA driver answers now, for {card}: restart the worker, and it uses that GPU")

    def _shut(self, nvml: ModuleType) -> None:
        self._handle = None
        with suppress(nvml.NVMLError):  # a driver that is gone cannot be shut down
            nvml.nvmlShutdown()

    def _miss(self, reason: str) -> None:
        if reason != self._reason:
            _log.error(reason)
        self._reason = reason

    def _listed(self, nvml: ModuleType, ask: Callable[[Any], list[Any]]) -> list[Any]:
        try:
            return ask(self._handle)
        except (nvml.NVMLError, nvml.NVMLLibraryMismatchError) as error:
            _log.debug("the driver does not list processes: %s", error)
            return []


def _mb(used_bytes: int | None) -> int | None:
    return None if used_bytes is None else used_bytes // _MIB


def _name(nvml: ModuleType, pid: int) -> str:
    """Name a process without its arguments, which may hold secrets."""
    try:
        # A program's name may not be UTF-8, and could not be sent to anybody as it is.
        return writable(psutil.Process(pid).name())
    except psutil.Error:
        pass  # another user's on Windows, or of another pid namespace: the driver may know it
    try:
        path = text_of(nvml.nvmlSystemGetProcessName, pid)
    except nvml.NVMLError:
        return "unknown"
    return path.replace("\\", "/").rpartition("/")[2] or "unknown"


class NoGpu:
    """No GPU, for the reason given."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    @property
    def gpu(self) -> GpuInfo | None:
        """None."""
        return None

    @property
    def reason(self) -> str:
        """Why there is no GPU."""
        return self._reason

    def read(self) -> VRAMInfo | None:
        """None."""
        return None

    def processes(self) -> tuple[GpuProcess, ...]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing is held."""
