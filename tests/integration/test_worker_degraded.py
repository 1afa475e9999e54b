"""R1.5 and R6: what is not there is said, and the rest goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack import Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_tasks.errors import ClipUnavailable, ModelMissing
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode
from tests.integration.worker_tools import is_loaded, reason_codes, running_worker, worker_environ

pytestmark = pytest.mark.ollama


@pytest.fixture(scope="module")
def without_gpu(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, ollama: EmbeddedOllama, tiny_clip: Path
) -> Iterator[Client]:
    """A client of a worker that is to use no GPU, and to leave the VLM where it is."""
    environ = worker_environ(
        redis_url, "cpu", ollama, gpu="none", idle_timeout_s=0, clip_weights=f"local-dir:{tiny_clip}"
    )
    with running_worker(tmp_path_factory.mktemp("cpu"), environ) as (_, client):
        yield client


@pytest.fixture(scope="module")
def without_models(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, ollama: EmbeddedOllama
) -> Iterator[Client]:
    """A client of a worker whose VLM nobody pulled, and whose CLIP is not where it should be."""
    settings = {"vlm_model": "no-such-model:7b", "clip_weights": "local-dir:/no/such/folder"}
    environ = worker_environ(redis_url, "bare", ollama, gpu="none", retry_pause_s=0, **settings)
    with running_worker(tmp_path_factory.mktemp("bare"), environ) as (_, client):
        yield client


class TestWithoutGpu:
    def test_r6_1_the_status_says_so(self, without_gpu: Client) -> None:
        status = without_gpu.status()
        assert (status.gpu, status.vram, status.clip.device) == (None, None, "cpu")
        assert reason_codes(without_gpu) == {DegradedCode.NO_GPU}
        assert "CPU" in status.reasons[0].message

    def test_r6_1_everything_works(self, without_gpu: Client, ollama: EmbeddedOllama) -> None:
        recording = without_gpu.set_mode("RECORDING")
        assert [(receipt.step, receipt.ok) for receipt in recording.receipts] == [("load_vlm", True)]
        assert recording.vram_after_mb is None
        assert is_loaded(ollama)
        assert without_gpu.ask("hello", options={"max_tokens": 1}).result.device == "cpu"
        assert without_gpu.embed_texts(["a text for the CPU"]).device == "cpu"
        autopilot = without_gpu.set_mode("AUTOPILOT")
        assert [receipt.step for receipt in autopilot.receipts] == ["unload_vlm"]
        assert not is_loaded(ollama)
        assert without_gpu.clip_device() == "cpu"

    def test_r4_3_a_timeout_of_0_never_unloads(self, without_gpu: Client, ollama: EmbeddedOllama) -> None:
        without_gpu.set_mode("IDLE")
        without_gpu.ensure_vlm_loaded()
        for _ in range(3):
            assert not without_gpu.submit(Tick()).result().idle_unloaded
        assert is_loaded(ollama)
        assert without_gpu.status().vlm.idle_timeout_s == 0
        without_gpu.ensure_vlm_unloaded()


class TestWithoutModels:
    def test_a_question_says_what_to_pull(self, without_models: Client) -> None:
        with pytest.raises(ModelMissing, match="ollama pull no-such-model:7b"):
            without_models.ask("hello")
        with pytest.raises(ModelMissing):
            without_models.ensure_vlm_loaded()

    def test_r6_2_recording_is_entered_and_degraded_with_the_reason(self, without_models: Client) -> None:
        result = without_models.set_mode("RECORDING")
        assert result.degraded
        assert without_models.status().mode is ExecutionMode.RECORDING
        assert DegradedCode.VLM_MODEL_MISSING in reason_codes(without_models)
        assert without_models.set_mode("IDLE").after is ExecutionMode.IDLE

    def test_embeddings_say_what_to_set_and_the_status_what_was_looked_for(self, without_models: Client) -> None:
        with pytest.raises(ClipUnavailable, match="SINGLETRACK_CLIP_WEIGHTS"):
            without_models.embed_texts(["hello"])
        (reason,) = [held for held in without_models.status().reasons if held.code is DegradedCode.CLIP_UNAVAILABLE]
        assert "/no/such/folder" in reason.message
        assert without_models.ping().track == "bare"
