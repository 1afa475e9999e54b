"""Memory by NVML: in MiB, without a driver no GPU, and no GPU that is not there."""

import os
import sys
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import GpuInfo, VRAMInfo
from singletrack_worker.gpu.vram.vram_monitor import NoGpu, VRAMMonitor

MIB = 1024 * 1024


class NVMLError(Exception):
    """The error of the stand-in for NVML."""


class NVMLLibraryMismatchError(Exception):
    """Raised by the stand-in where the real one finds an older driver; no `NVMLError` there either."""


class Nvml(ModuleType):
    """A driver with two GPUs of 8 GiB, in the place of one that this machine may not have."""

    NVMLError = NVMLError
    NVMLLibraryMismatchError = NVMLLibraryMismatchError

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.free_mb = 7000
        self.broken = False
        self.open = 0
        self.computing: dict[int, int | None] = {}
        self.drawing: dict[int, int | None] = {}
        self.names: dict[int, bytes] = {}
        self.list_error: Exception | None = None

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's own name
        if self.broken:
            raise NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - NVML's own name
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's own name
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - NVML's own name
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802 - NVML's own name
        return f"GPU {handle}"

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802 - NVML's own name
        return f"GPU-{handle}"

    def nvmlDeviceGetMemoryInfo(self, _: int) -> SimpleNamespace:  # noqa: N802 - NVML's own name
        if self.broken:
            raise NVMLError("GPU is lost")
        # What is used and what is free are less than the total: the driver keeps the rest for itself.
        free = self.free_mb * MIB
        return SimpleNamespace(total=8192 * MIB, free=free, used=8192 * MIB - free - 300 * MIB)

    def nvmlDeviceGetComputeRunningProcesses(self, _: int) -> list[SimpleNamespace]:  # noqa: N802 - NVML's own name
        return self._list(self.computing)

    def nvmlDeviceGetGraphicsRunningProcesses(self, _: int) -> list[SimpleNamespace]:  # noqa: N802 - NVML's own name
        return self._list(self.drawing)

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802 - NVML's own name
        if pid not in self.names:
            raise NVMLError("Not Found")
        return self.names[pid].decode()

    def _list(self, used_mb: dict[int, int | None]) -> list[SimpleNamespace]:
        if self.list_error is not None:
            raise self.list_error
        return [SimpleNamespace(pid=pid, usedGpuMemory=None if mb is None else mb * MIB) for pid, mb in used_mb.items()]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml


def test_what_is_not_free_is_used(nvml: Nvml) -> None:
    monitor = VRAMMonitor()
    assert monitor.read() == VRAMInfo(total_mb=8192, used_mb=1192, free_mb=7000)
    nvml.free_mb = 100
    assert monitor.read() == VRAMInfo(total_mb=8192, used_mb=8092, free_mb=100)


def test_the_gpu_is_named_by_its_index(nvml: Nvml) -> None:
    monitor = VRAMMonitor(1)
    assert monitor.gpu == GpuInfo(name="GPU 1", uuid="GPU-1", index=1)
    assert (monitor.reason, nvml.open) == ("", 1)


def test_a_gpu_that_the_machine_does_not_have_is_a_mistake(nvml: Nvml) -> None:
    with pytest.raises(InvalidConfiguration, match="SINGLETRACK_GPU_INDEX is 2, and this machine has 2 GPUs"):
        VRAMMonitor(2)
    assert nvml.open == 0


def test_without_a_driver_there_is_no_gpu(nvml: Nvml) -> None:
    nvml.broken = True
    monitor = VRAMMonitor()
    assert (monitor.gpu, monitor.read()) == (None, None)
    assert "Driver Not Loaded" in monitor.reason
    monitor.close()


def test_a_gpu_that_is_lost_is_no_gpu_from_then_on(nvml: Nvml) -> None:
    monitor = VRAMMonitor()
    nvml.broken = True
    assert monitor.read() is None
    assert monitor.gpu is None
    assert "GPU is lost" in monitor.reason
    nvml.broken = False
    assert monitor.read() is None


def test_closing_lets_go_of_the_driver_once(nvml: Nvml) -> None:
    monitor = VRAMMonitor()
    monitor.close()
    monitor.close()
    assert nvml.open == 0


def test_without_the_package_the_reason_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monitor = VRAMMonitor()
    assert monitor.gpu is None
    assert "pip install 'singletrack[worker]'" in monitor.reason


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pid is one that this machine knows, as in another pid namespace."""

    def unknown(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", unknown)


def test_processes_are_named_without_their_arguments(nvml: Nvml) -> None:
    nvml.computing = {os.getpid(): 1400}
    (process,) = VRAMMonitor().processes()
    assert process == GpuProcess(pid=os.getpid(), name=psutil.Process().name(), vram_mb=1400)


@pytest.mark.usefixtures("gone")
def test_a_process_that_computes_and_draws_is_listed_once(nvml: Nvml) -> None:
    nvml.computing = {9: 500, 7: None}
    nvml.drawing = {9: 500, 7: 200, 8: 30}
    nvml.names = {7: b"/usr/bin/blender", 8: b"C:\\Windows\\dwm.exe", 9: b"game"}
    assert VRAMMonitor().processes() == (
        GpuProcess(pid=7, name="blender", vram_mb=200),
        GpuProcess(pid=8, name="dwm.exe", vram_mb=30),
        GpuProcess(pid=9, name="game", vram_mb=500),
    )


@pytest.mark.usefixtures("gone")
def test_what_the_driver_does_not_say_of_a_process_is_unknown(nvml: Nvml) -> None:
    nvml.computing = {7: None}
    assert VRAMMonitor().processes() == (GpuProcess(pid=7, name="unknown", vram_mb=None),)


def test_a_name_that_is_no_utf_8_can_be_told_all_the_same(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.computing = {7: 500}
    monkeypatch.setattr(psutil, "Process", lambda _: SimpleNamespace(name=lambda: "render\udcff"))
    (process,) = VRAMMonitor().processes()
    assert process.name == "render?"
    process.model_dump_json()


@pytest.mark.usefixtures("gone")
def test_a_name_that_the_driver_garbles_is_unknown(nvml: Nvml) -> None:
    nvml.computing, nvml.names = {7: 500}, {7: b"render\xff"}
    assert VRAMMonitor().processes() == (GpuProcess(pid=7, name="unknown", vram_mb=500),)


@pytest.mark.parametrize("error", [NVMLError("Not Supported"), NVMLLibraryMismatchError("an older driver")])
def test_a_driver_that_does_not_list_processes_lists_none(nvml: Nvml, error: Exception) -> None:
    nvml.computing = {7: 500}
    nvml.list_error = error
    monitor = VRAMMonitor()
    assert monitor.processes() == ()
    assert monitor.read() is not None


def test_without_a_driver_no_process_is_listed(nvml: Nvml) -> None:
    nvml.broken = True
    assert VRAMMonitor().processes() == ()


def test_the_real_driver_or_its_absence_is_told() -> None:
    monitor = VRAMMonitor()
    vram = monitor.read()
    assert (vram is None) == (monitor.gpu is None) == (monitor.reason != "")
    monitor.close()


def test_no_gpu_says_why() -> None:
    none = NoGpu("SINGLETRACK_GPU is none")
    none.close()
    assert (none.gpu, none.read(), none.reason) == (None, None, "SINGLETRACK_GPU is none")
    assert none.processes() == ()
