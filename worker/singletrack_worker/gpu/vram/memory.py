"""The memory of one GPU by NVML, and what the driver says instead of figures."""

from types import ModuleType
from typing import Any

import psutil

from singletrack_tasks.status import VRAMInfo

_MIB = 1024 * 1024


class MemoryUntold(Exception):
    """A driver that answers, but gives no figures that can be used; the text says why, and what to do."""


def read_memory(nvml: ModuleType, handle: Any) -> tuple[VRAMInfo, bool]:
    """Return the memory (MiB), and whether it is the system's, which a GPU with unified memory shares.

    Raises `MemoryUntold`, and `NVMLError` for a driver that does not answer.
    """
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError_NotSupported:
        return _of_the_system(), True
    except nvml.NVMLError_NoPermission as error:
        raise MemoryUntold(
            f"the driver does not let this process read the GPU's memory ({error}), as on a GPU that is divided into "
            "MIG instances: name an instance that it may use by its UUID (`nvidia-smi -L`) in SINGLETRACK_GPU_INDEX"
        ) from error
    total_mb, free_mb = int(memory.total) // _MIB, int(memory.free) // _MIB
    if total_mb == 0:
        return _of_the_system(), True
    if free_mb > total_mb:
        raise MemoryUntold(
            f"the driver says that {free_mb} of {total_mb} MB are free, which cannot be: update the NVIDIA driver"
        )
    # Newer drivers do not count what they keep for themselves as used, but nobody else can have it.
    return VRAMInfo(total_mb=total_mb, used_mb=total_mb - free_mb, free_mb=free_mb), False


def explain(nvml: ModuleType, error: Exception) -> str:
    """Say what an error of the driver means, and what to do."""
    if isinstance(error, nvml.NVMLError_Unknown | nvml.NVMLError_NoPermission):
        return (
            f"{error}. In a container this mostly means that it has lost its devices, as after `systemctl "
            "daemon-reload` on the host: restart the container. Elsewhere see `nvidia-smi` and the kernel log."
        )
    if isinstance(error, nvml.NVMLError_LibRmVersionMismatch):
        return f"{error}. The driver was updated while it was loaded: reboot the host."
    if isinstance(error, nvml.NVMLError_GpuIsLost | nvml.NVMLError_ResetRequired):
        return f"{error}. See `nvidia-smi` and the kernel log, and reset the GPU or reboot the host."
    return f"{error}. See `nvidia-smi` and the kernel log."


def _of_the_system() -> VRAMInfo:
    memory = psutil.virtual_memory()
    total_mb, free_mb = memory.total // _MIB, memory.available // _MIB
    return VRAMInfo(total_mb=total_mb, used_mb=total_mb - free_mb, free_mb=free_mb)
