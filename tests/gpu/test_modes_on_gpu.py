"""The whole stack on a real GPU: CLIP comes and goes by mode, and the driver's figures say so."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from singletrack import Client
from singletrack_ops.stack import Stack
from singletrack_tasks.status import GPUResourceStatus
from singletrack_worker.gpu.vram.vram_monitor import VRAMMonitor

pytestmark = pytest.mark.gpu

TEXTS = ["an OK button", "a settings icon", "an empty text field"]


@pytest.fixture(scope="module")
def client(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    monitor = VRAMMonitor()
    gpu, reason = monitor.gpu, monitor.reason
    monitor.close()
    if gpu is None:
        pytest.skip(reason)
    environ = {**os.environ, "SINGLETRACK_CLIP_WEIGHTS": f"local-dir:{tiny_clip}"}
    folder = tmp_path_factory.mktemp("stack")
    with (
        Stack.start(folder, environ=environ, with_beat=False, with_flower=False, allow_sandbox=True) as stack,
        Client(stack.redis_url) as client,
    ):
        yield client


def used_mb(status: GPUResourceStatus) -> int:
    assert status.vram is not None
    return status.vram.used_mb


def test_clip_comes_to_the_gpu_and_its_memory_is_free_before_the_vlm_loads(client: Client) -> None:
    client.set_mode("IDLE")
    before = client.embed_texts(TEXTS).vectors
    empty_mb = used_mb(client.status())

    up = client.set_mode("AUTOPILOT")
    assert [receipt.step for receipt in up.receipts][-1] == "promote_clip"
    assert client.clip_device() == "cuda:0"
    assert used_mb(client.status()) > empty_mb + 100

    down = client.set_mode("RECORDING")
    assert down.receipts[0].step == "demote_clip"
    assert down.receipts[0].ok
    assert client.clip_device() == "cpu"
    gone_mb = down.receipts[0].vram_after_mb
    assert gone_mb is not None
    assert abs(gone_mb - empty_mb) <= 50
    assert np.array_equal(client.embed_texts(TEXTS).vectors, before)


def test_an_embedding_on_the_gpu_agrees_with_the_one_from_the_cpu(client: Client) -> None:
    client.set_mode("AUTOPILOT")
    fresh = [f"{text}, asked on the GPU" for text in TEXTS]
    on_gpu = client.embed_texts(fresh)
    assert on_gpu.device == "cuda:0"
    client.set_mode("IDLE")
    again = client.embed_texts(fresh)
    assert again.cached == len(fresh)
    assert np.array_equal(again.vectors, on_gpu.vectors)
