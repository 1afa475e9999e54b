"""What NVML tells here, call by call, and how fast."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from gpu_check.driver import NvmlDriver
from gpu_check.lab import Lab
from gpu_check.report import Findings
from singletrack_worker.assembly import build_vram

_MIB = 1024 * 1024
_NEEDED = ("name", "UUID", "memory")
_READS = 500


def run(lab: Lab, found: Findings) -> None:
    """Make the calls that the product makes, and those that explain what it sees."""
    if not isinstance(lab.driver, NvmlDriver):
        found.tell("NVML", "not asked: the GPU is simulated")
        return
    for name, call in _calls(lab.driver.nvml, lab.driver.handle).items():
        _make(found, name, call)
    _compare(lab, found)
    times_us = sorted(_timed_us(lab.driver.used_mb) for _ in range(_READS))
    found.tell("a reading of the memory, microseconds p50 / p99", f"{times_us[_READS // 2]:.0f} / {times_us[-5]:.0f}")
    found.figure("nvml_read_us", times_us[_READS // 2])


def _calls(nvml: Any, handle: Any) -> Mapping[str, Callable[[], Any]]:
    def memory(version: Any = None) -> dict[str, int]:
        told = (
            nvml.nvmlDeviceGetMemoryInfo(handle) if version is None else nvml.nvmlDeviceGetMemoryInfo(handle, version)
        )
        return {name: getattr(told, name) // _MIB for name in ("total", "free", "used")}

    return {
        "driver": nvml.nvmlSystemGetDriverVersion,
        "CUDA of the driver": nvml.nvmlSystemGetCudaDriverVersion_v2,
        "GPUs": nvml.nvmlDeviceGetCount,
        "name": lambda: nvml.nvmlDeviceGetName(handle),
        "UUID": lambda: nvml.nvmlDeviceGetUUID(handle),
        "memory": memory,
        "memory, version 2": lambda: memory(nvml.nvmlMemory_v2),
        "processes that compute": lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)),
        "processes that draw": lambda: len(nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)),
        "MIG": lambda: nvml.nvmlDeviceGetMigMode(handle),
        "compute mode": lambda: nvml.nvmlDeviceGetComputeMode(handle),
        "persistence mode": lambda: nvml.nvmlDeviceGetPersistenceMode(handle),
        "compute capability": lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle),
    }


def _make(found: Findings, name: str, call: Callable[[], Any]) -> None:
    try:
        value = call()
    except Exception as error:  # whatever a driver answers is a finding
        if name in _NEEDED:
            found.expect(name, False, f"{type(error).__name__}: {error}")
        else:
            found.tell(name, f"{type(error).__name__}: {error}")
    else:
        found.tell(name, value)


def _compare(lab: Lab, found: Findings) -> None:
    vram = build_vram(lab.config({}, tiny=True))
    try:
        seen, reading = vram.gpu, vram.read()
        found.expect("the worker sees a GPU", seen is not None and reading is not None, seen and seen.uuid, vram.reason)
        if reading is not None:
            off_mb = reading.used_mb - lab.driver.used_mb()
            found.expect("the worker's reading, off by MB", abs(off_mb) <= 1, off_mb)
    finally:
        vram.close()


def _timed_us(action: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    action()
    return 1e6 * (time.perf_counter() - began_s)
