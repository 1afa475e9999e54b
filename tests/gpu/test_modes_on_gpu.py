"""The whole stack on a real GPU: both tenants come and go by mode, and the driver's figures say so."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from gpu_check.lab import SMALL, Lab
from gpu_check.limits import LOST_MB
from singletrack import Client
from singletrack_ops.stack import Stack
from singletrack_tasks.result import OperationResult

pytestmark = pytest.mark.gpu

TEXTS = ["an OK button", "a settings icon", "an empty text field"]


@pytest.fixture(scope="module")
def client(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with lab.server() as server:
        settings = {"CLIP_WEIGHTS": lab.tiny, "OLLAMA_URL": server.url, "VLM_MODEL": SMALL, "METRICS_PORT": "0"}
        environ = os.environ | {f"SINGLETRACK_{name}": value for name, value in settings.items()}
        folder = tmp_path_factory.mktemp("stack")
        with (
            Stack.start(folder, environ=environ, with_beat=False, with_flower=False) as stack,
            Client(stack.redis_url) as client,
        ):
            yield client


def steps(result: OperationResult) -> list[str]:
    assert all(receipt.ok for receipt in result.receipts)
    return [receipt.step for receipt in result.receipts]


def test_what_a_mode_says_is_what_the_driver_says(lab: Lab, client: Client) -> None:
    client.set_mode("RECORDING")
    client.set_mode("IDLE")
    client.ensure_vlm_unloaded()
    empty_mb = lab.driver.used_mb()

    assert steps(client.set_mode("AUTOPILOT")) == ["promote_clip"]
    assert client.clip_device() == lab.clip_device
    assert lab.driver.used_mb() > empty_mb + LOST_MB

    down = client.set_mode("RECORDING")
    assert steps(down) == ["demote_clip", "load_vlm"]
    assert client.clip_device() == "cpu"
    gone_mb = down.receipts[0].vram_after_mb
    assert gone_mb is not None
    assert abs(gone_mb - empty_mb) <= LOST_MB
    assert lab.driver.used_mb() - empty_mb >= lab.sizes.small_mb

    assert steps(client.set_mode("AUTOPILOT")) == ["unload_vlm", "promote_clip"]
    assert lab.driver.used_mb() - empty_mb < lab.sizes.small_mb


def test_a_cached_embedding_is_the_one_that_the_gpu_made(lab: Lab, client: Client) -> None:
    client.set_mode("AUTOPILOT")
    fresh = [f"{text}, asked on the GPU" for text in TEXTS]
    on_gpu = client.embed_texts(fresh)
    assert on_gpu.device == lab.clip_device
    client.set_mode("IDLE")
    again = client.embed_texts(fresh)
    assert again.cached == len(fresh)
    assert np.array_equal(again.vectors, on_gpu.vectors)
