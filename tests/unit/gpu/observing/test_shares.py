"""Whose the VRAM in use is: by the driver's list of processes, or by estimates that err on the careful side."""

import pytest

from singletrack_tasks.recording import GpuProcess
from singletrack_worker.gpu.observing.shares import (
    GROWTH_MB,
    ProcessSorter,
    Share,
    Sorted,
    is_ollama,
    measured,
    of_clip,
    of_others,
    of_vlm,
)
from singletrack_worker.gpu.tenants import OtherModel, VlmListing

CPU_PID, GPU_PID = 70, 71
CLIP = GpuProcess(pid=GPU_PID, name="python3.11", vram_mb=1180)
RUNNER = GpuProcess(pid=80, name="ollama", vram_mb=6100)
COMFY = GpuProcess(pid=90, name="python3.11", vram_mb=5000)
XORG = GpuProcess(pid=12, name="Xorg", vram_mb=310)


def test_shares_add_up() -> None:
    assert Share(1, 2, 3) + Share(10, 20, 30) == Share(11, 22, 33)


class TestEstimates:
    def test_what_the_driver_lists_may_still_grow(self) -> None:
        assert measured(1000) == Share(1000, 1000, 1000 + GROWTH_MB)

    @pytest.mark.parametrize(
        ("footprint_mb", "real_mb"),
        [(None, 1100), (1100, 1100), (1100, 1500), (200, 1100), (3300, 1100)],
        ids=["never measured", "as measured", "grown", "measured too small", "measured too large"],
    )
    def test_clip_has_its_share_whatever_was_measured(self, footprint_mb: int | None, real_mb: int) -> None:
        share = of_clip(footprint_mb, configured_mb=1100)
        assert share.least_mb <= real_mb <= share.most_mb

    @pytest.mark.parametrize(
        ("listing", "footprint_mb", "real_mb"),
        [
            (VlmListing(5600, 5600), None, 6500),
            (VlmListing(5600, 5600), 6000, 6000),
            (VlmListing(5600, 5600), 6000, 6400),
            (VlmListing(5600, 5600), 3600, 6000),
            (VlmListing(5600, 5600), 6000, 3600),
            (VlmListing(5600, 5600), 8000, 6000),
            (VlmListing(5600, 2000), 6000, 2400),
            (VlmListing(5600, 0), 6000, 0),
        ],
        ids=[
            "never measured",
            "as measured",
            "grown",
            "measured too small",
            "a part on the CPU, unsaid",
            "measured too large",
            "a part on the CPU",
            "on the CPU",
        ],
    )
    def test_the_vlm_has_its_share(self, listing: VlmListing, footprint_mb: int | None, real_mb: int) -> None:
        share = of_vlm(listing, footprint_mb)
        assert share.least_mb <= real_mb <= share.most_mb

    def test_a_model_that_was_measured_hides_less(self) -> None:
        listing = VlmListing(5600, 5600)
        assert of_vlm(listing, 6000).most_mb < of_vlm(listing, None).most_mb

    def test_other_models_share_what_is_listed_of_them(self) -> None:
        assert of_others(()) == Share()
        share = of_others([OtherModel("a", 3000, vram_mb=2000), OtherModel("b", 900, vram_mb=0)])
        assert share.about_mb == 2000
        assert share.most_mb > 2000 + 2 * GROWTH_MB, "each has a CUDA context of its own"


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["ollama", "ollama-lib", "ollama_llama_server", "ollama.exe", "Ollama", "llama-server", "ollama app.exe"],
    )
    def test_ollama(self, name: str) -> None:
        assert is_ollama(name)

    @pytest.mark.parametrize("name", ["python3.11", "my-ollama-client", "Xorg", "unknown", ""])
    def test_not_ollama(self, name: str) -> None:
        assert not is_ollama(name)


class TestProcesses:
    def sort(self, *processes: GpuProcess, gpu_pid: int | None = GPU_PID, idle: bool = False) -> Sorted:
        return ProcessSorter().sort(processes, (CPU_PID, gpu_pid), ollama_is_idle=idle)

    def test_each_has_its_own(self) -> None:
        assert self.sort(XORG, CLIP, RUNNER, COMFY) == Sorted(clip_mb=1180, ollama_mb=6100, strangers=(XORG, COMFY))

    def test_runners_add_up(self) -> None:
        other = GpuProcess(pid=81, name="ollama", vram_mb=900)
        assert self.sort(CLIP, RUNNER, other).ollama_mb == 7000

    def test_an_ollama_with_memory_is_a_stranger_while_ours_has_no_model(self) -> None:
        assert self.sort(CLIP, RUNNER, idle=True) == Sorted(clip_mb=1180, strangers=(RUNNER,))

    def test_clip_is_told_by_its_pid_and_not_by_its_name(self) -> None:
        assert self.sort(COMFY, gpu_pid=None) == Sorted(strangers=(COMFY,))

    def test_memory_that_is_not_told_is_no_figure(self) -> None:
        """As with the drivers of Windows."""
        untold = [process.model_copy(update={"vram_mb": None}) for process in (CLIP, RUNNER, COMFY)]
        assert self.sort(*untold) == Sorted()
        assert self.sort(CLIP, RUNNER, untold[1]).ollama_mb is None

    def test_who_has_no_name_cannot_be_told_from_ollama(self) -> None:
        nameless = GpuProcess(pid=99, name="unknown", vram_mb=6000)
        assert self.sort(CLIP, nameless).strangers == ()

    def test_pids_of_another_namespace_tell_nothing_from_then_on(self) -> None:
        """As in a container, where a pid of the host may happen to be another program's here."""
        sorter = ProcessSorter()
        pids = (CPU_PID, GPU_PID)
        assert sorter.sort([COMFY], (CPU_PID, None), ollama_is_idle=False).strangers == (COMFY,)
        assert sorter.sort([COMFY], pids, ollama_is_idle=False) == Sorted()
        assert sorter.sort([COMFY], (CPU_PID, None), ollama_is_idle=False) == Sorted()

    def test_a_driver_that_lists_nobody_is_no_proof(self) -> None:
        sorter = ProcessSorter()
        assert sorter.sort([], (CPU_PID, GPU_PID), ollama_is_idle=False) == Sorted()
        assert sorter.sort([CLIP, COMFY], (CPU_PID, GPU_PID), ollama_is_idle=False).strangers == (COMFY,)
