"""The memory of the GPU as the NVIDIA driver reports it, through NVML."""

import logging
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import psutil

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import GpuInfo, VRAMInfo
from singletrack_tasks.text import writable

_MIB = 1024 * 1024
_log = logging.getLogger(__name__)


class VRAMMonitor:
    """Reads one GPU, by its index in NVML's order (that of `nvidia-smi`); without a driver there is no GPU.

    NVML ignores `CUDA_VISIBLE_DEVICES`. Raises `InvalidConfiguration` for an index that a machine with a driver does
    not have: that is a mistake, not a reason to run silently on the CPU.
    """

    def __init__(self, index: int = 0) -> None:
        self._nvml: ModuleType | None = None
        self._handle: Any = None
        self._gpu: GpuInfo | None = None
        self._reason = ""
        self._open(index)

    @property
    def gpu(self) -> GpuInfo | None:
        """Which GPU this is, None where there is none."""
        return self._gpu

    @property
    def reason(self) -> str:
        """Why there is no GPU, and what to do; empty where there is one."""
        return self._reason

    def read(self) -> VRAMInfo | None:
        """Read the memory now (MiB), None without a GPU.

        A driver that stops answering (a GPU that fell off the bus) is logged and reads as no GPU.
        """
        nvml = self._nvml
        if nvml is None:
            return None
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(self._handle)
        except nvml.NVMLError as error:
            self._lose(
                f"the NVIDIA driver no longer answers for the GPU ({error}). See `nvidia-smi` and the kernel log, and "
                "restart the worker."
            )
            return None
        total, free = int(memory.total) // _MIB, int(memory.free) // _MIB
        # Newer drivers do not count what they keep for themselves as used, but nobody else can have it.
        return VRAMInfo(total_mb=total, used_mb=total - free, free_mb=free)

    def processes(self) -> tuple[GpuProcess, ...]:
        """List the processes that have memory on the GPU (MiB), by pid.

        Empty where the driver does not list them, as in WSL; a container sees only its own, or none.
        """
        nvml = self._nvml
        if nvml is None:
            return ()
        used_mb: dict[int, int | None] = {}
        for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            for process in self._listed(nvml, ask):
                # A process that computes and draws is in both lists, each time with all of its memory.
                used_mb[process.pid] = _mb(process.usedGpuMemory) or used_mb.get(process.pid)
        return tuple(GpuProcess(pid=pid, name=_name(nvml, pid), vram_mb=mb) for pid, mb in sorted(used_mb.items()))

    def close(self) -> None:
        """Let go of the driver; harmless when repeated, and from any thread."""
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            with suppress(nvml.NVMLError):  # a driver that is gone cannot be shut down
                nvml.nvmlShutdown()

    def _open(self, index: int) -> None:
        try:
            import pynvml
        except ImportError:
            self._reason = "the package nvidia-ml-py is not installed: pip install 'singletrack[worker]'"
            return
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._reason = f"no NVIDIA driver ({error}): everything runs on the CPU"
            return
        self._nvml = pynvml
        try:
            self._find(pynvml, index)
        except pynvml.NVMLError as error:
            self._lose(f"the NVIDIA driver does not answer for GPU {index} ({error}): everything runs on the CPU")

    def _find(self, nvml: ModuleType, index: int) -> None:
        count = nvml.nvmlDeviceGetCount()
        if count == 0:
            self._lose("the NVIDIA driver finds no GPU: everything runs on the CPU")
            return
        if index >= count:
            self.close()
            raise InvalidConfiguration(f"SINGLETRACK_GPU_INDEX is {index}, and this machine has {count} GPUs")
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._gpu = GpuInfo(
            name=nvml.nvmlDeviceGetName(self._handle),
            uuid=nvml.nvmlDeviceGetUUID(self._handle),
            index=index,
        )

    def _listed(self, nvml: ModuleType, ask: Callable[[Any], list[Any]]) -> list[Any]:
        try:
            return ask(self._handle)
        except (nvml.NVMLError, nvml.NVMLLibraryMismatchError) as error:
            _log.debug("the driver does not list processes: %s", error)
            return []

    def _lose(self, reason: str) -> None:
        _log.error(reason)
        self._reason, self._gpu = reason, None
        self.close()


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
        path: str = nvml.nvmlSystemGetProcessName(pid)
    except (nvml.NVMLError, UnicodeDecodeError):  # nvidia-ml-py decodes what the driver says
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
