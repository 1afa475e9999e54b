"""The section that only a real driver can answer, with one that is made up."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpu_check.driver import NvmlDriver
from gpu_check.lab import Lab
from gpu_check.options import Options
from gpu_check.report import Findings, Report
from gpu_check.sections import nvml
from singletrack_tasks.status import GpuInfo, VRAMInfo

MIB = 1024 * 1024
USED_MB, FREE_MB = 1000, 7000


class NVMLError(Exception):
    """The driver refuses."""


def refuse(*_: object) -> None:
    raise NVMLError("Not Supported")


def driver(**others: Any) -> SimpleNamespace:
    """A driver that answers what every one does, and refuses the rest."""
    memory = SimpleNamespace(total=(USED_MB + FREE_MB) * MIB, free=FREE_MB * MIB, used=USED_MB * MIB)
    processes = [SimpleNamespace(pid=7, usedGpuMemory=600 * MIB), SimpleNamespace(pid=8, usedGpuMemory=None)]
    names = ("MigMode", "ComputeMode", "PersistenceMode", "CudaComputeCapability", "GraphicsRunningProcesses")
    answers: dict[str, Any] = {
        "NVMLError": NVMLError,
        "nvmlMemory_v2": 2,
        "nvmlInit": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "570.1",
        "nvmlSystemGetCudaDriverVersion_v2": lambda: 13000,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda handle: "A GPU",
        "nvmlDeviceGetUUID": lambda handle: "GPU-0",
        "nvmlDeviceGetMemoryInfo": lambda handle, version=1: memory,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: processes,
    }
    return SimpleNamespace(**{f"nvmlDeviceGet{name}": refuse for name in names} | answers | others)


class Vram:
    """What the worker sees of it."""

    gpu = GpuInfo(name="A GPU", uuid="GPU-0")
    reason = ""

    def __init__(self, used_mb: int) -> None:
        self._used_mb = used_mb

    def read(self) -> VRAMInfo:
        return VRAMInfo(total_mb=USED_MB + FREE_MB, used_mb=self._used_mb, free_mb=FREE_MB)

    def close(self) -> None:
        """Nothing is held."""


def failures(folder: Path, monkeypatch: pytest.MonkeyPatch, pynvml: SimpleNamespace, seen_mb: int) -> list[str]:
    """Run the section; returns the names of what failed."""
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    monkeypatch.setattr(nvml, "build_vram", lambda config: Vram(seen_mb))
    options = Options(out=folder / "report.json", work=folder)
    report = Report(options.out, {})
    nvml.run(Lab.of(options, NvmlDriver(0), "local-dir:/none", "local-dir:/none"), Findings(report, "nvml"))
    assert "nvml_read_us" in json.loads(options.out.read_text(encoding="utf-8"))["figures"]
    return [row.name for row in report.failed]


def test_what_a_driver_refuses_is_told_and_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures(tmp_path, monkeypatch, driver(), USED_MB) == []


def test_what_every_driver_has_to_tell_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures(tmp_path, monkeypatch, driver(nvmlDeviceGetUUID=refuse), USED_MB) == ["UUID"]


def test_a_worker_that_reads_something_else_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures(tmp_path, monkeypatch, driver(), USED_MB - 2) == ["the worker's reading, off by MB"]


def test_what_each_process_holds_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", driver())
    assert NvmlDriver(0).held_mb() == {7: 600, 8: None}
