"""CLIP on a real GPU: it is really there, it computes the same, and its memory comes back."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from singletrack_tasks.status import ResizeMode
from singletrack_worker.gpu.clip.manager import CLIPManager
from singletrack_worker.gpu.vram.vram_monitor import VRAMMonitor
from tests.unit.gpu.clip.clip_conformance import TOLERANCE, ClipConformance, everything, pictures

pytestmark = pytest.mark.gpu

GPU = "cuda:0"
MIB = 1024 * 1024
LEFT_MB = 50
LIMIT_S = 30.0

# A whole ViT-B-32 with torch's own random weights from a fixed seed: the sizes are real, what it says means nothing.
WRITE_BASE = """
import json, sys
from pathlib import Path
import open_clip, torch
from safetensors.torch import save_file
folder = Path(sys.argv[1])
torch.manual_seed(5)
model = open_clip.create_model("ViT-B-32")
save_file({name: value.half() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors")
config = {"model_cfg": open_clip.get_model_config("ViT-B-32"), "singletrack": {"trained": False}}
(folder / "open_clip_config.json").write_text(json.dumps(config))
"""
ASK_CUDA = "import torch; print(torch.__version__, torch.cuda.is_available())"


@pytest.fixture(scope="module", autouse=True)
def cuda() -> None:
    """Skip without a GPU that torch can use; asked in a process of its own, so that this one stays without CUDA."""
    done = subprocess.run([sys.executable, "-c", ASK_CUDA], capture_output=True, text=True, timeout=120, check=False)
    if not done.stdout.strip().endswith("True"):
        pytest.skip(f"torch has no CUDA here: {done.stdout.strip() or done.stderr.strip()[-300:]}")


@pytest.fixture(scope="module", params=["tiny", "ViT-B-32"])
def weights(request: pytest.FixtureRequest, tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "tiny":
        return f"local-dir:{tiny_clip}"
    folder = tmp_path_factory.mktemp("base_clip")
    subprocess.run([sys.executable, "-c", WRITE_BASE, str(folder)], check=True, timeout=300)
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def real_clip(weights: str) -> Iterator[CLIPManager]:
    monitor = VRAMMonitor("0")
    monitor.close()
    manager = CLIPManager(weights, resize_mode=ResizeMode.SQUASH, gpu=monitor.gpu)
    manager.start()
    yield manager
    manager.stop()


@pytest.fixture
def used_mb() -> Iterator[Callable[[], float]]:
    """The memory in use on the GPU in MiB, as the driver tells it."""
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    yield lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used / MIB
    pynvml.nvmlShutdown()


class TestRealGpu(ClipConformance):
    @pytest.fixture
    def clip(self, real_clip: CLIPManager) -> CLIPManager:
        return real_clip


def test_it_is_really_on_the_gpu(real_clip: CLIPManager, used_mb: Callable[[], float]) -> None:
    real_clip.demote()
    before_mb = used_mb()
    real_clip.promote()
    assert real_clip.device == real_clip.find() == GPU
    assert used_mb() > before_mb + LEFT_MB


def test_the_devices_agree(real_clip: CLIPManager, record_property: Callable[[str, object], None]) -> None:
    real_clip.demote()
    on_cpu = everything(real_clip)
    real_clip.promote()
    on_gpu = everything(real_clip)
    assert real_clip.device == GPU
    distance = float(np.max(1 - np.sum(on_cpu.astype(np.float64) * on_gpu, axis=1)))
    record_property("largest_1_minus_cosine", distance)
    assert distance <= TOLERANCE
    # Half precision leaves traces: bits that are equal would mean that the CPU had answered.
    assert not np.array_equal(on_cpu, on_gpu)


def test_the_memory_comes_back(real_clip: CLIPManager, used_mb: Callable[[], float]) -> None:
    real_clip.demote()
    before_mb = used_mb()
    for _ in range(2):
        real_clip.promote()
        real_clip.embed_images(pictures(real_clip) * 40)
        gpu_pid = real_clip.pids[1]
        real_clip.demote()
        assert gpu_pid is not None
        assert not psutil.pid_exists(gpu_pid)
        wait_for(lambda: abs(used_mb() - before_mb) <= LEFT_MB, f"within {LEFT_MB} MB of {before_mb:.0f} MB")


def test_a_kill_on_the_gpu_is_made_up_for_and_frees_the_memory(
    real_clip: CLIPManager, used_mb: Callable[[], float]
) -> None:
    real_clip.demote()
    before, before_mb = everything(real_clip), used_mb()
    real_clip.promote()
    gpu_pid = real_clip.pids[1]
    assert gpu_pid is not None
    psutil.Process(gpu_pid).kill()
    assert np.array_equal(everything(real_clip), before)
    assert real_clip.find() == "cpu"
    wait_for(lambda: abs(used_mb() - before_mb) <= LEFT_MB, f"within {LEFT_MB} MB of {before_mb:.0f} MB")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.05)
