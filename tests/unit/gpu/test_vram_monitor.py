"""Memory by NVML: in MiB, without a driver no GPU, and no GPU that is not there."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.status import GpuInfo, VRAMInfo
from singletrack_worker.gpu.vram_monitor import ChangeDetector, NoGpu, VRAMMonitor

MIB = 1024 * 1024


class NVMLError(Exception):
    """The error of the stand-in for NVML."""


class Nvml(ModuleType):
    """A driver with two GPUs of 8 GiB, in the place of one that this machine may not have."""

    NVMLError = NVMLError

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.free_mb = 7000
        self.broken = False
        self.open = 0

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

    def nvmlDeviceGetName(self, handle: int) -> bytes:  # noqa: N802 - NVML's own name
        return f"GPU {handle}".encode()

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802 - NVML's own name
        return f"GPU-{handle}"

    def nvmlDeviceGetMemoryInfo(self, _: int) -> SimpleNamespace:  # noqa: N802 - NVML's own name
        if self.broken:
            raise NVMLError("GPU is lost")
        # What is used and what is free are less than the total: the driver keeps the rest for itself.
        free = self.free_mb * MIB
        return SimpleNamespace(total=8192 * MIB, free=free, used=8192 * MIB - free - 300 * MIB)


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


def test_the_real_driver_or_its_absence_is_told() -> None:
    monitor = VRAMMonitor()
    vram = monitor.read()
    assert (vram is None) == (monitor.gpu is None) == (monitor.reason != "")
    monitor.close()


def test_no_gpu_says_why() -> None:
    none = NoGpu("SINGLETRACK_GPU is none")
    none.close()
    assert (none.gpu, none.read(), none.reason) == (None, None, "SINGLETRACK_GPU is none")


@pytest.mark.parametrize(
    ("readings_mb", "told"),
    [
        ([300], [None]),
        ([300, 399], [None, None]),
        ([300, 400], [None, 300]),
        ([300, 200], [None, 300]),
        ([300, 350, 400, 450], [None, None, 300, None]),
        ([300, 5900, 300], [None, 300, 5900]),
    ],
)
def test_changes_of_100_mb_since_the_last_one_told_are_told(readings_mb: list[int], told: list[int | None]) -> None:
    detector = ChangeDetector()
    assert [detector.changed_from(reading_mb) for reading_mb in readings_mb] == told
