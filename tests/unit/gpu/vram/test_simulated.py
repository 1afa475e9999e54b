"""The GPU that is not there: it accounts for memory, and says what it is."""

import pytest

from singletrack_tasks.errors import OllamaUnreachable
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.tenants import OtherModel, Vlm, VlmListing
from singletrack_worker.gpu.vram.simulated import SimulatedGpu, SimulatedVlm
from singletrack_worker.gpu.vram.vram_monitor import NoGpu
from tests.fakes import FakeClock, FakeVlm
from tests.unit.gpu.vlm_conformance import VlmConformance

DESKTOP_MB = 300


def on_cpu() -> FakeVlm:
    """A server on a machine without a GPU, as that behind a simulation is."""
    return FakeVlm(NoGpu("no driver"), FakeClock())


def used_mb(gpu: SimulatedGpu) -> int:
    vram = gpu.read()
    assert vram is not None
    return vram.used_mb


class TestSimulatedVlm(VlmConformance):
    @pytest.fixture
    def vlm(self) -> SimulatedVlm:
        self.server = on_cpu()
        return SimulatedVlm(self.server, SimulatedGpu(8192), size_mb=5600)

    def load_other(self, vlm: Vlm) -> str:
        self.server.guest_comes("their:1b")
        return "their:1b"


def test_it_says_that_it_is_simulated() -> None:
    gpu = SimulatedGpu(8192)
    assert gpu.gpu is not None
    assert gpu.gpu.simulated
    assert gpu.gpu.name == "simulated 8 GiB GPU"
    assert gpu.reason == ""


def test_memory_is_the_sum_of_what_the_tenants_say_at_each_reading() -> None:
    gpu, takes_mb = SimulatedGpu(1000, DESKTOP_MB), {"a": 0}
    gpu.add_tenant("a", lambda: takes_mb["a"])
    gpu.add_tenant("b", lambda: 100)
    readings = []
    for takes_mb["a"] in (0, 200, 5000):
        readings.append(used_mb(gpu))
    assert readings == [400, 600, 1000]


def test_a_tenant_of_the_same_name_takes_the_place_of_the_last() -> None:
    gpu = SimulatedGpu(1000, DESKTOP_MB)
    gpu.add_tenant("a", lambda: 100)
    gpu.add_tenant("a", lambda: 200)
    assert used_mb(gpu) == DESKTOP_MB + 200


def test_the_vlm_takes_and_gives_back_its_configured_size_whatever_the_server_says() -> None:
    gpu = SimulatedGpu(8192, DESKTOP_MB)
    vlm = SimulatedVlm(on_cpu(), gpu, size_mb=5000)
    vlm.load()
    assert vlm.listing() == VlmListing(5000, 5000)
    assert used_mb(gpu) == DESKTOP_MB + 5000
    vlm.unload()
    assert (vlm.listing(), used_mb(gpu)) == (None, DESKTOP_MB)


def test_what_does_not_fit_is_on_the_cpu() -> None:
    gpu = SimulatedGpu(4096, DESKTOP_MB)
    vlm = SimulatedVlm(on_cpu(), gpu, size_mb=5000)
    vlm.load()
    assert vlm.listing() == VlmListing(5000, 4096 - DESKTOP_MB)


def test_a_server_that_lets_the_model_go_gives_the_memory_back() -> None:
    gpu, server = SimulatedGpu(8192, DESKTOP_MB), on_cpu()
    vlm = SimulatedVlm(server, gpu, size_mb=5000)
    vlm.load()
    server.evict()
    assert vlm.listing() is None
    assert used_mb(gpu) == DESKTOP_MB


def test_a_server_that_is_away_holds_nothing_that_anybody_could_see() -> None:
    gpu, server = SimulatedGpu(8192, DESKTOP_MB), on_cpu()
    vlm = SimulatedVlm(server, gpu, size_mb=5000)
    vlm.load()
    server.guest_comes("their:1b", 2000)
    assert vlm.listing() is not None
    server.faults.down = True
    with pytest.raises(OllamaUnreachable):
        vlm.listing()
    assert used_mb(gpu) == DESKTOP_MB


def test_another_model_takes_its_size_whatever_the_server_does_with_it() -> None:
    gpu, server = SimulatedGpu(8192, DESKTOP_MB), on_cpu()
    vlm = SimulatedVlm(server, gpu, size_mb=5000)
    server.guest_comes("their:1b", 2000)
    vlm.listing()
    assert list(vlm.others) == [OtherModel("their:1b", 2000, vram_mb=2000)]
    assert used_mb(gpu) == DESKTOP_MB + 2000
    vlm.unload_other("their:1b")
    assert not vlm.others
    assert used_mb(gpu) == DESKTOP_MB


def test_a_question_goes_to_the_server() -> None:
    server = on_cpu()
    vlm = SimulatedVlm(server, SimulatedGpu(8192), size_mb=5000)
    answer = vlm.ask("what is this?", [], None, VlmOptions(), Cancellation())
    assert (vlm.model, answer.text) == (server.model, server.answers[-1])


def test_tenants_on_the_gpu_are_processes_where_their_pid_is_known() -> None:
    gpu = SimulatedGpu(8192, DESKTOP_MB)
    held_mb = {"clip": 1400, "away": 0}
    gpu.add_tenant("vlm", lambda: 5600)
    gpu.add_tenant("clip", lambda: held_mb["clip"], pid=lambda: 12)
    gpu.add_tenant("away", lambda: held_mb["away"], pid=lambda: 11)
    gpu.add_tenant("ended", lambda: 100, pid=lambda: None)
    assert gpu.processes() == (GpuProcess(pid=12, name="clip", vram_mb=1400),)
    held_mb["away"] = 50
    assert [process.name for process in gpu.processes()] == ["away", "clip"]
