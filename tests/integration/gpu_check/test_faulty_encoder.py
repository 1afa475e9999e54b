"""The product's own encoder obeys what the check tells it, where its model is on a GPU and nowhere else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gpu_check
from singletrack_worker.assembly import build_tenants, build_vram
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.tenants import Clip
from singletrack_worker.settings import GPUResourceConfig

PROGRAM = Path(gpu_check.__file__).parent / "programs" / "faulty_encoder.py"
ORDER = "FAULT:die at once"


@pytest.fixture(scope="module")
def clip(tiny_clip: Path) -> Iterator[Clip]:
    config = GPUResourceConfig(gpu="simulated", clip_weights=f"local-dir:{tiny_clip}", encode_timeout_s=300.0)
    encoder = (sys.executable, "-P", str(PROGRAM))
    made = build_tenants(config, SystemClock(), build_vram(config), encoder=lambda: encoder).clip
    made.start()
    yield made
    made.stop()


def test_it_obeys_on_the_gpu_and_embeds_on_the_cpu(clip: Clip) -> None:
    on_cpu = clip.embed_texts([ORDER])
    assert kind(clip) is None
    clip.promote()
    assert clip.device == "cuda:0"
    assert np.array_equal(clip.embed_texts([ORDER]), on_cpu)
    assert clip.device == "cpu"
    assert kind(clip) == "died"


def kind(clip: Clip) -> object:
    """Why its last encoder on the GPU was given up, None if it was not."""
    return None if clip.given_up is None else clip.given_up.details["kind"]
