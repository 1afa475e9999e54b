"""Memory by NVML: in MiB, without a driver no GPU, and no GPU that is not there."""

import os
import sys
from types import SimpleNamespace

import psutil
import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import GpuInfo, VRAMInfo
from singletrack_worker.gpu.cuda_visibility import seeing
from singletrack_worker.gpu.vram.vram_monitor import LOOK_AGAIN_S, OPEN_AGAIN_S, NoGpu, VRAMMonitor
from tests.fakes.clock import FakeClock
from tests.fakes.nvml import FakeCard, FakeNvml
from tests.unit.gpu.vram.conftest import FIRST, SECOND

GIB = 1024**3


def used_mb(monitor: VRAMMonitor) -> int:
    vram = monitor.read()
    assert vram is not None, monitor.reason
    return vram.used_mb


def test_what_is_not_free_is_used(nvml: FakeNvml) -> None:
    monitor = VRAMMonitor()
    assert monitor.read() == VRAMInfo(total_mb=8192, used_mb=1192, free_mb=7000)
    nvml.cards[0].free_mb = 100
    assert monitor.read() == VRAMInfo(total_mb=8192, used_mb=8092, free_mb=100)


@pytest.mark.parametrize("wanted", ["1", SECOND, "GPU-2222"])
def test_the_gpu_is_the_one_that_is_named(nvml: FakeNvml, wanted: str) -> None:
    monitor = VRAMMonitor(wanted)
    assert monitor.gpu == GpuInfo(name="NVIDIA GeForce RTX 3060", uuid=SECOND, index=1)
    nvml.cards[1].free_mb = 100
    assert used_mb(monitor) == 8092
    assert (monitor.reason, nvml.open) == ("", 1)


def test_the_gpu_of_the_shell_is_the_workers(nvml: FakeNvml) -> None:
    monitor = VRAMMonitor(environ={"CUDA_VISIBLE_DEVICES": "1"})
    assert monitor.gpu is not None
    assert (monitor.gpu.uuid, monitor.gpu.index) == (SECOND, 1)
    hidden = VRAMMonitor(environ={"CUDA_VISIBLE_DEVICES": "-1"})
    assert (hidden.gpu, hidden.read()) == (None, None)
    assert "CUDA_VISIBLE_DEVICES hides every GPU" in hidden.reason
    assert nvml.open == 1


@pytest.mark.parametrize(("wanted", "visible"), [("2", None), ("0", "1"), (None, "2")])
def test_a_gpu_that_is_not_to_be_had_is_a_mistake(nvml: FakeNvml, wanted: str | None, visible: str | None) -> None:
    with pytest.raises(InvalidConfiguration):
        VRAMMonitor(wanted, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert nvml.open == 0


@pytest.mark.parametrize("error", ["DriverNotLoaded", "LibraryNotFound"])
def test_without_a_driver_there_is_no_gpu(nvml: FakeNvml, error: str) -> None:
    nvml.errors["nvmlInit"] = error
    monitor = VRAMMonitor()
    assert (monitor.gpu, monitor.read()) == (None, None)
    assert "no NVIDIA driver" in monitor.reason
    assert nvml.calls["nvmlInit"] == 1
    monitor.close()


@pytest.mark.parametrize(
    "function", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetName"]
)
def test_a_driver_that_fails_once_at_the_start_is_asked_again(nvml: FakeNvml, function: str) -> None:
    nvml.once[function] = ["Unknown"]
    monitor = VRAMMonitor()
    assert used_mb(monitor) == 1192
    assert (monitor.reason, nvml.open) == ("", 1)


def test_a_driver_that_does_not_answer_at_the_start_is_no_gpu_with_the_reason(nvml: FakeNvml) -> None:
    nvml.errors["nvmlInit"] = "Unknown"
    monitor = VRAMMonitor()
    assert (monitor.gpu, monitor.read(), nvml.open) == (None, None, 0)
    assert "restart the container" in monitor.reason


@pytest.mark.parametrize("error", ["Unknown", "DriverNotLoaded"])
def test_a_gpu_that_comes_after_the_start_is_told_and_not_taken(nvml: FakeNvml, error: str) -> None:
    clock = FakeClock()
    nvml.errors["nvmlInit"] = error
    monitor = VRAMMonitor(monotonic=clock.monotonic)
    nvml.errors.clear()
    tried = nvml.calls["nvmlInit"]
    assert monitor.read() is None
    assert nvml.calls["nvmlInit"] == tried
    clock.advance(LOOK_AGAIN_S)
    assert (monitor.read(), monitor.gpu, nvml.open) == (None, None, 0)
    assert f"({FIRST}): restart the worker" in monitor.reason
    monitor.close()
    clock.advance(LOOK_AGAIN_S)
    tried = nvml.calls["nvmlInit"]
    assert monitor.read() is None
    assert nvml.calls["nvmlInit"] == tried


@pytest.mark.parametrize("error", ["Unknown", "Timeout", "GpuIsLost", "ResetRequired", "Uninitialized", "NotFound"])
def test_one_error_costs_no_reading(nvml: FakeNvml, error: str) -> None:
    monitor = VRAMMonitor("1")
    nvml.once["nvmlDeviceGetMemoryInfo"] = [error]
    assert used_mb(monitor) == 1192
    assert (monitor.reason, nvml.open, nvml.opening) == ("", 1, 2)


def test_a_driver_that_is_stuck_until_it_is_opened_anew_is_opened_anew(nvml: FakeNvml) -> None:
    monitor = VRAMMonitor()
    nvml.stuck = True
    assert used_mb(monitor) == 1192
    assert nvml.open == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("Unknown", "restart the container"),
        ("GpuIsLost", "reset the GPU or reboot the host"),
        ("LibRmVersionMismatch", "The driver was updated while it was loaded"),
        ("Timeout", "nvidia-smi"),
    ],
)
@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetMemoryInfo"])
def test_a_gpu_that_does_not_answer_is_unknown_until_it_does(
    nvml: FakeNvml, function: str, error: str, said: str
) -> None:
    clock = FakeClock()
    monitor = VRAMMonitor(monotonic=clock.monotonic)
    known = monitor.gpu
    nvml.errors[function] = error
    nvml.stuck = True
    assert monitor.read() is None
    assert monitor.gpu == known is not None
    assert said in monitor.reason
    assert monitor.processes() == ()
    tried = nvml.calls["nvmlInit"]
    assert monitor.read() is None
    assert nvml.calls["nvmlInit"] == tried, "a driver that has just failed is left alone for a moment"
    nvml.errors.clear()
    clock.advance(OPEN_AGAIN_S)
    assert used_mb(monitor) == 1192
    assert (monitor.reason, nvml.open) == ("", 1)
    monitor.close()
    assert nvml.open == 0


def test_a_gpu_that_came_back_at_another_number_is_found_by_its_uuid(nvml: FakeNvml) -> None:
    monitor = VRAMMonitor("1")
    nvml.cards.reverse()
    nvml.cards[0].free_mb = 100
    nvml.stuck = True
    assert used_mb(monitor) == 8092


@pytest.mark.parametrize("card", [FakeCard(memory="NotSupported"), FakeCard(total_mb=0, free_mb=0)])
def test_unified_memory_is_told_by_the_systems_figures(monkeypatch: pytest.MonkeyPatch, card: FakeCard) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(card))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=128 * GIB, available=100 * GIB))
    monitor = VRAMMonitor(environ={})
    assert monitor.gpu is not None
    assert monitor.gpu.unified_memory
    assert monitor.read() == VRAMInfo(total_mb=128 * 1024, used_mb=28 * 1024, free_mb=100 * 1024)
    assert monitor.reason == ""


@pytest.mark.parametrize(
    ("card", "said"),
    [(FakeCard(memory="NoPermission"), "MIG instances"), (FakeCard(total_mb=100, free_mb=200), "which cannot be")],
)
def test_memory_that_is_not_told_is_no_reading_and_no_reason_to_open_anew(
    monkeypatch: pytest.MonkeyPatch, card: FakeCard, said: str
) -> None:
    nvml = FakeNvml(card)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monitor = VRAMMonitor(environ={})
    assert monitor.read() is None
    assert monitor.gpu is not None
    assert said in monitor.reason
    assert nvml.opening == 1
    card.memory, card.free_mb = "", 50
    assert used_mb(monitor) >= 50
    assert monitor.reason == ""


def test_what_is_no_utf_8_hides_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(FakeCard(name="RTX\xff", uuid="GPU-\xff\xfe")))
    monitor = VRAMMonitor(environ={})
    assert monitor.gpu is not None
    assert monitor.gpu == GpuInfo(name="RTX?", uuid="unreadable-0", index=0)
    assert used_mb(monitor) == 1192
    # What is no UUID is never told to CUDA, which would see no GPU at all.
    assert seeing(monitor.gpu)["CUDA_VISIBLE_DEVICES"] == "0"


def test_closing_lets_go_of_the_driver_once(nvml: FakeNvml) -> None:
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


def test_processes_are_named_without_their_arguments(nvml: FakeNvml) -> None:
    nvml.computing = {os.getpid(): 1400}
    (process,) = VRAMMonitor().processes()
    assert process == GpuProcess(pid=os.getpid(), name=psutil.Process().name(), vram_mb=1400)


@pytest.mark.usefixtures("gone")
def test_a_process_that_computes_and_draws_is_listed_once(nvml: FakeNvml) -> None:
    nvml.computing = {9: 500, 7: None}
    nvml.drawing = {9: 500, 7: 200, 8: 30}
    nvml.names = {7: b"/usr/bin/blender", 8: b"C:\\Windows\\dwm.exe", 9: b"game"}
    assert VRAMMonitor().processes() == (
        GpuProcess(pid=7, name="blender", vram_mb=200),
        GpuProcess(pid=8, name="dwm.exe", vram_mb=30),
        GpuProcess(pid=9, name="game", vram_mb=500),
    )


@pytest.mark.usefixtures("gone")
def test_what_the_driver_does_not_say_of_a_process_is_unknown(nvml: FakeNvml) -> None:
    nvml.computing = {7: None}
    assert VRAMMonitor().processes() == (GpuProcess(pid=7, name="unknown", vram_mb=None),)


def test_a_name_that_is_no_utf_8_can_be_told_all_the_same(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.computing = {7: 500}
    monkeypatch.setattr(psutil, "Process", lambda _: SimpleNamespace(name=lambda: "render\udcff"))
    (process,) = VRAMMonitor().processes()
    assert process.name == "render?"
    process.model_dump_json()


@pytest.mark.usefixtures("gone")
def test_a_name_that_the_driver_garbles_is_told_as_far_as_it_can_be(nvml: FakeNvml) -> None:
    nvml.computing, nvml.names = {7: 500}, {7: b"render\xff"}
    assert VRAMMonitor().processes() == (GpuProcess(pid=7, name="render?", vram_mb=500),)


@pytest.mark.parametrize("error", ["NotSupported", "LibraryMismatch"])
def test_a_driver_that_does_not_list_processes_lists_none(nvml: FakeNvml, error: str) -> None:
    nvml.computing = {7: 500}
    nvml.errors["nvmlDeviceGetComputeRunningProcesses"] = error
    monitor = VRAMMonitor()
    assert monitor.processes() == ()
    assert monitor.read() is not None


def test_without_a_driver_no_process_is_listed(nvml: FakeNvml) -> None:
    nvml.errors["nvmlInit"] = "DriverNotLoaded"
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
