"""The manager: what each operation does, says and leaves behind."""

from collections.abc import Callable

import numpy as np
import pytest

from singletrack_tasks.errors import (
    BlobMissing,
    ClipUnavailable,
    DeadlinePassed,
    ImagesUnsupported,
    JobCancelled,
    NotEnoughVram,
    OllamaRefusal,
    OllamaUnreachable,
    UnknownModel,
    VlmLoadFailed,
    VramNotReleased,
)
from singletrack_tasks.events import ClipMigrated, IdleUnload, ModeChanged, ResourceChanged
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.requests.embedding import EmbedImages, EmbedTexts, FindClip
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.upkeep import Tick
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, ModelState
from singletrack_worker.gpu.manager import GPUResourceManager
from tests.fakes import CLIP_MODEL, IMAGE_SIZE, reference_embedding
from tests.unit.gpu.rig import CLIP_MB, DESKTOP_MB, VLM_MB, Rig

AUTOPILOT, RECORDING, IDLE = ExecutionMode.AUTOPILOT, ExecutionMode.RECORDING, ExecutionMode.IDLE
JOB = JobRef("job-1")
QUESTION = Ask(prompt="what is this?")


class TestModes:
    def test_autopilot_has_clip_on_the_gpu_and_no_vlm(self) -> None:
        rig = Rig().started()
        rig.vlm.load_by_somebody()
        result = rig.set_mode(AUTOPILOT)
        assert (result.before, result.after) == (IDLE, AUTOPILOT)
        assert (result.vram_before_mb, result.vram_after_mb) == (DESKTOP_MB + VLM_MB, DESKTOP_MB + CLIP_MB)
        assert not rig.vlm.listed
        assert rig.clip.device == "cuda:0"

    def test_recording_has_the_vlm_and_clip_on_the_cpu(self) -> None:
        rig = Rig().started()
        rig.set_mode(AUTOPILOT)
        rig.set_mode(RECORDING)
        assert rig.vlm.listed
        assert rig.clip.device == "cpu"
        assert rig.used_mb() == DESKTOP_MB + VLM_MB

    @pytest.mark.parametrize("mode", [AUTOPILOT, RECORDING])
    def test_idle_moves_nothing(self, mode: ExecutionMode) -> None:
        rig = Rig().started()
        rig.set_mode(mode)
        before = rig.used_mb()
        assert rig.set_mode(IDLE).receipts == ()
        assert rig.used_mb() == before

    def test_a_change_is_told_and_the_same_mode_again_is_not(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        rig.set_mode(RECORDING)
        changes = [event for event in rig.stores.publisher.events if isinstance(event, ModeChanged)]
        assert [(change.before, change.after, change.job_id) for change in changes] == [(IDLE, RECORDING, "mode")]
        assert [receipt.step for receipt in changes[0].receipts] == ["load_vlm"]

    def test_what_cannot_fit_is_refused_and_nothing_has_changed(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        rig.set_mode(AUTOPILOT)
        rig.vram.add_tenant("stranger", lambda: 4000)  # type: ignore[attr-defined]  # the simulated GPU
        rig.history.deeds.clear()
        with pytest.raises(NotEnoughVram):
            rig.set_mode(RECORDING)
        assert rig.manager.status().mode is AUTOPILOT
        assert {deed.what for deed in rig.history.deeds} == {"listing"}

    def test_a_load_that_fails_is_degraded_mode_and_no_error(self) -> None:
        rig = Rig().started()
        rig.vlm.faults.load_failures = 3
        result = rig.set_mode(RECORDING)
        assert result.degraded
        assert [reason.code for reason in result.reasons] == [DegradedCode.VLM_LOAD_FAILED]
        assert (result.receipts[0].ok, result.receipts[0].attempts) == (False, 3)

    def test_without_ollama_the_mode_changes_all_the_same(self) -> None:
        rig = Rig().started()
        rig.vlm.faults.down = True
        for mode in (RECORDING, AUTOPILOT):
            result = rig.set_mode(mode)
            assert DegradedCode.OLLAMA_UNREACHABLE in {reason.code for reason in result.reasons}
        assert [(receipt.step, receipt.ok) for receipt in result.receipts] == [("promote_clip", True)]
        assert rig.clip.device == "cuda:0"

    def test_a_server_that_is_away_for_a_moment_is_no_silent_failure(self) -> None:
        rig = Rig().started()
        rig.vlm.faults.unreachable_calls = 4
        result = rig.set_mode(RECORDING)
        assert rig.vlm.listed or result.degraded


class TestQuestions:
    @pytest.mark.parametrize("mode", ExecutionMode)
    def test_a_question_is_answered_in_every_mode(self, mode: ExecutionMode) -> None:
        rig = Rig().started()
        rig.set_mode(mode)
        answer = rig.manager.run(QUESTION, JOB)
        assert (answer.text, answer.device, answer.model) == (rig.vlm.answers[-1], "gpu", rig.vlm.model)

    def test_a_visitor_comes_beside_clip_once_its_size_is_known(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        rig.set_mode(AUTOPILOT)
        answer = rig.manager.run(QUESTION, JOB)
        assert [receipt.step for receipt in answer.receipts] == ["load_vlm"]
        assert rig.clip.device == "cuda:0"

    def test_a_visitor_is_in_the_status_before_its_caller_hears_of_it(self) -> None:
        rig = Rig().started()
        rig.set_mode(AUTOPILOT)
        before = len(rig.stores.publisher.statuses)
        rig.manager.run(QUESTION, JOB)
        newest = rig.stores.publisher.statuses[before:]
        assert [(status.vlm.state, status.clip.device) for status in newest] == [(ModelState.LOADED, "cpu")]

    def test_a_visitor_that_was_split_beside_clip_finds_it_gone_the_next_time(self) -> None:
        rig = Rig(idle_timeout_s=60).started()
        rig.set_mode(RECORDING)
        rig.set_mode(AUTOPILOT)
        rig.vlm.faults.cpu_mb = 800
        for steps in (["load_vlm"], ["demote_clip", "load_vlm"]):
            answer = rig.manager.run(QUESTION, JOB)
            assert [receipt.step for receipt in answer.receipts] == steps
            rig.vlm.faults.cpu_mb = 0
            rig.tick(after_s=100)
            assert rig.clip.device == "cuda:0"

    @pytest.mark.parametrize("silent_mb", [0, 3000])
    def test_a_model_that_is_split_without_clip_teaches_nothing_about_the_room(self, silent_mb: int) -> None:
        rig = Rig(idle_timeout_s=60).started()
        rig.set_mode(RECORDING)
        rig.set_mode(AUTOPILOT)
        rig.vlm.faults.silent_cpu_mb, rig.vlm.faults.cpu_mb = silent_mb, 0 if silent_mb else 800
        rig.set_mode(RECORDING)
        rig.vlm.faults.silent_cpu_mb = rig.vlm.faults.cpu_mb = 0
        rig.set_mode(AUTOPILOT)
        assert [receipt.step for receipt in rig.manager.run(QUESTION, JOB).receipts] == ["load_vlm"]

    def test_clip_steps_aside_for_a_visitor_of_unknown_size_and_comes_back(self) -> None:
        rig = Rig().started()
        rig.set_mode(AUTOPILOT)
        answer = rig.manager.run(QUESTION, JOB)
        assert [receipt.step for receipt in answer.receipts] == ["demote_clip", "load_vlm"]
        rig.tick()
        assert rig.clip.device == "cuda:0"

    def test_without_a_gpu_the_answer_comes_from_the_cpu(self) -> None:
        rig = Rig(None).started()
        assert rig.manager.run(QUESTION, JOB).device == "cpu"

    def test_half_a_model_on_the_gpu_is_told(self) -> None:
        rig = Rig(4096).started()
        answer = rig.manager.run(QUESTION, JOB)
        assert answer.device == "split"
        assert [reason.code for reason in answer.reasons] == [DegradedCode.VLM_PARTLY_ON_CPU]

    def test_another_model_is_refused(self) -> None:
        rig = Rig().started()
        with pytest.raises(UnknownModel) as refused:
            rig.manager.run(Ask(prompt="?", model="another"), JOB)
        assert refused.value.details == {"serves": rig.vlm.model}
        assert not rig.vlm.listed

    def test_an_image_that_is_gone_costs_no_load(self) -> None:
        rig = Rig().started()
        with pytest.raises(BlobMissing):
            rig.manager.run(Ask(prompt="?", images=(Blob.of(b"gone", "file"),)), JOB)
        assert not rig.vlm.listed

    def test_a_server_that_stays_away_is_an_error(self) -> None:
        rig = Rig().started()
        rig.vlm.faults.down = True
        with pytest.raises(OllamaUnreachable):
            rig.manager.run(QUESTION, JOB)
        assert rig.codes() == {DegradedCode.OLLAMA_UNREACHABLE}

    def test_images_for_a_model_that_takes_none_move_nothing(self) -> None:
        rig = Rig().started()
        rig.vlm.sees = False
        rig.stores.blobs.add(b"png", Blob.of(b"png", "file"))
        with pytest.raises(ImagesUnsupported, match=rig.vlm.model):
            rig.manager.run(Ask(prompt="?", images=(Blob.of(b"png", "file"),)), JOB)
        assert not rig.vlm.listed
        assert not rig.vlm.prompts
        rig.vlm.sees = None
        assert rig.manager.run(Ask(prompt="?", images=(Blob.of(b"png", "file"),)), JOB).text

    def test_a_server_that_refuses_is_asked_once(self) -> None:
        rig = Rig().started()
        rig.vlm.faults.refuses = True
        rig.clock.slept_s.clear()
        with pytest.raises(OllamaRefusal):
            rig.manager.run(QUESTION, JOB)
        assert not any(rig.clock.slept_s)
        assert rig.codes() == {DegradedCode.OLLAMA_UNREACHABLE}

    def test_a_question_is_not_put_after_its_deadline_passed_during_the_load(self) -> None:
        rig = Rig().started()
        rig.vlm.load_s = 60.0
        with pytest.raises(DeadlinePassed):
            rig.manager.run(Ask(prompt="?", deadline_unix_s=rig.clock.time() + 30), JOB)
        assert rig.vlm.prompts == []

    def test_a_question_cancelled_during_the_load_is_not_put(self) -> None:
        rig = Rig().started()

        def cancel() -> None:
            rig.manager.cancel(JOB.id)

        rig.clock.on_sleep = cancel
        with pytest.raises(JobCancelled):
            rig.manager.run(QUESTION, JOB)
        assert rig.vlm.prompts == []


class TestLifeCycle:
    def test_loading_returns_loaded(self) -> None:
        rig = Rig().started()
        result = rig.manager.run(LoadVlm(), JOB)
        assert (result.state, rig.vlm.listed) == (ModelState.LOADED, True)
        assert rig.manager.run(LoadVlm(), JOB).receipts == ()

    def test_a_model_that_does_not_stay_is_an_error(self) -> None:
        rig = Rig().started()
        rig.vlm.faults.vanishes_after_load = 3
        with pytest.raises(VlmLoadFailed):
            rig.manager.run(LoadVlm(), JOB)

    def test_unloading_returns_with_the_memory_free(self) -> None:
        rig = Rig().started()
        rig.manager.run(LoadVlm(), JOB)
        rig.vlm.faults.release_delay_s = 2.0
        result = rig.manager.run(UnloadVlm(), JOB)
        assert (result.state, rig.used_mb()) == (ModelState.UNLOADED, DESKTOP_MB)
        assert rig.manager.run(UnloadVlm(), JOB).receipts == ()

    def test_memory_that_stays_taken_is_an_error_each_time_it_is_asked_for(self) -> None:
        rig = Rig().started()
        rig.manager.run(LoadVlm(), JOB)
        rig.vlm.faults.release_delay_s = 60.0
        for _ in range(2):
            with pytest.raises(VramNotReleased):
                rig.manager.run(UnloadVlm(), JOB)
        rig.clock.advance(60)
        assert rig.manager.run(UnloadVlm(), JOB).state is ModelState.UNLOADED
        assert rig.codes() == set()

    def test_recording_does_not_bring_back_what_was_unloaded_on_demand(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        rig.manager.run(UnloadVlm(), JOB)
        rig.tick(after_s=20)
        assert not rig.vlm.listed

    def test_recording_brings_back_what_was_evicted(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        rig.vlm.evict()
        rig.tick(after_s=20)
        assert rig.vlm.listed


class TestIdle:
    def test_an_idle_vlm_is_unloaded_and_that_is_told(self) -> None:
        rig = Rig(idle_timeout_s=300).started()
        rig.set_mode(RECORDING)
        assert not rig.tick(after_s=299).idle_unloaded
        assert rig.tick(after_s=2).idle_unloaded
        assert not rig.vlm.listed
        told = [event for event in rig.stores.publisher.events if isinstance(event, IdleUnload)]
        assert [(event.model, event.idle_s >= 300) for event in told] == [(rig.vlm.model, True)]
        assert told[0].receipt is not None
        assert told[0].receipt.vram_after_mb == DESKTOP_MB

    def test_a_vlm_that_is_used_stays(self) -> None:
        rig = Rig(idle_timeout_s=300).started()
        for _ in range(5):
            rig.manager.run(QUESTION, JOB)
            assert not rig.tick(after_s=290).idle_unloaded

    def test_a_visitor_that_leaves_makes_room_for_clip(self) -> None:
        rig = Rig(6144, idle_timeout_s=300).started()
        rig.set_mode(AUTOPILOT)
        rig.manager.run(QUESTION, JOB)
        rig.tick(after_s=100)
        assert rig.clip.device == "cpu"
        rig.tick(after_s=250)
        assert (rig.clip.device, rig.vlm.listed) == ("cuda:0", False)

    def test_the_next_worker_knows_how_long_it_was_idle(self) -> None:
        rig = Rig(idle_timeout_s=300).started()
        rig.manager.run(QUESTION, JOB)
        rig.clock.advance(200)
        rig.manager = rig.new_manager()
        rig.manager.start()
        assert not rig.tick(after_s=50).idle_unloaded
        assert rig.tick(after_s=60).idle_unloaded

    def test_a_failed_question_counts_as_a_use_for_the_next_worker_too(self) -> None:
        rig = Rig(idle_timeout_s=300).started()
        rig.manager.run(QUESTION, JOB)
        rig.clock.advance(290)
        rig.vlm.faults.model_missing = True
        with pytest.raises(Exception, match="ollama pull"):
            rig.manager.run(QUESTION, JOB)
        rig.manager = rig.new_manager()
        rig.manager.start()
        assert not rig.tick(after_s=100).idle_unloaded


class TestEmbeddings:
    def test_texts_and_images_are_embedded_where_clip_is(self) -> None:
        rig = Rig().started()
        pixels = bytes(IMAGE_SIZE**2 * 3)
        blob = rig.stores.blobs.add(pixels, Blob.of(pixels, "pixels"))
        for mode, device in ((RECORDING, "cpu"), (AUTOPILOT, "cuda:0")):
            rig.set_mode(mode)
            texts = rig.manager.run(EmbedTexts(texts=("a button",)), JOB)
            images = rig.manager.run(EmbedImages(images=(blob,), fingerprint=CLIP_MODEL.fingerprint), JOB)
            assert (texts.device, images.device, texts.fingerprint) == (device, device, CLIP_MODEL.fingerprint)
            assert np.allclose(texts.vectors.array()[0], reference_embedding(b"a button"), atol=2e-3)
            assert np.allclose(images.vectors.array()[0], reference_embedding(pixels), atol=2e-3)

    def test_an_encoder_that_dies_on_the_gpu_is_replaced(self) -> None:
        rig = Rig().started()
        rig.set_mode(AUTOPILOT)
        rig.clip.gpu_encoder_dies()
        assert rig.manager.run(FindClip(), JOB).device == "cpu"
        rig.tick()
        assert rig.manager.run(FindClip(), JOB).device == "cuda:0"

    def test_a_fallback_to_the_cpu_is_told(self) -> None:
        rig = Rig().started()
        rig.set_mode(AUTOPILOT)
        rig.clip.gpu_encoder_dies()
        assert rig.manager.run(EmbedTexts(texts=("a button",)), JOB).device == "cpu"
        told = next(event for event in reversed(rig.stores.publisher.events) if isinstance(event, ClipMigrated))
        assert (told.before, told.after) == ("cuda:0", "cpu")
        assert rig.codes() == {DegradedCode.CLIP_MIGRATION_FAILED}
        rig.tick()
        assert rig.codes() == set()

    def test_a_fallback_is_in_the_status_before_its_caller_hears_of_it(self) -> None:
        rig = Rig().started()
        rig.set_mode(AUTOPILOT)
        rig.clip.gpu_encoder_dies()
        before = len(rig.stores.publisher.statuses)
        assert rig.manager.run(EmbedTexts(texts=("a button",)), JOB).device == "cpu"
        assert [status.clip.device for status in rig.stores.publisher.statuses[before:]] == ["cpu"]
        rig.manager.run(EmbedTexts(texts=("a button",)), JOB)
        assert len(rig.stores.publisher.statuses) == before + 1, "what moves nothing does not wait for the status"

    def test_without_weights_the_rest_goes_on(self) -> None:
        rig = Rig()
        rig.clip.faults.weights_missing = True
        rig.started()
        assert rig.codes() == {DegradedCode.CLIP_UNAVAILABLE}
        with pytest.raises(ClipUnavailable):
            rig.manager.run(FindClip(), JOB)
        rig.set_mode(RECORDING)
        assert rig.manager.run(QUESTION, JOB).text
        rig.clip.faults.weights_missing = False
        rig.tick()
        assert rig.codes() == set()


class TestStatus:
    def test_it_tells_everything(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        status = rig.manager.status()
        assert (status.mode, status.degraded, status.operation) == (RECORDING, False, None)
        assert status.vram is not None
        assert status.vram.used_mb == DESKTOP_MB + VLM_MB
        vlm = status.vlm
        assert (vlm.state, vlm.size_mb, vlm.vram_mb, vlm.footprint_mb) == (ModelState.LOADED, VLM_MB, VLM_MB, VLM_MB)
        assert (status.clip.model, status.clip.device, status.clip.gpu_pid) == (CLIP_MODEL, "cpu", None)

    def test_it_is_taken_while_an_operation_has_the_gpu(self) -> None:
        rig = Rig().started()
        taken: list[GPUResourceStatus] = []
        rig.clock.on_sleep = lambda: taken.append(rig.manager.status())
        rig.manager.run(QUESTION, JOB)
        assert [status.operation.kind for status in taken if status.operation] == ["ask"] * len(taken)
        assert [status.vlm.state for status in taken] == [ModelState.LOADING, ModelState.LOADED]

    def test_it_is_published_before_the_caller_hears_of_the_result(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        published = rig.stores.publisher.statuses[-1]
        assert (published.mode, published.vlm.state) == (RECORDING, ModelState.LOADED)
        assert published.operation is None

    def test_a_failure_is_published_before_the_caller_hears_of_it(self) -> None:
        rig = Rig()
        with pytest.raises(UnknownModel):
            rig.manager.run(Ask(prompt="hello", model="another"), JOB)
        published = rig.stores.publisher.statuses[-1]
        assert published.operation is None
        assert published.last_error is not None
        assert published.last_error.job_id == JOB.id

    def test_changes_of_memory_are_told(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        rig.manager.status()
        told = [event for event in rig.stores.publisher.events if isinstance(event, ResourceChanged)]
        assert [(event.before_mb, event.after_mb) for event in told] == [(DESKTOP_MB, DESKTOP_MB + VLM_MB)]

    def test_a_mode_outlives_the_worker(self) -> None:
        rig = Rig().started()
        rig.set_mode(RECORDING)
        rig.vlm.evict()
        rig.manager = rig.new_manager()
        rig.manager.start()
        assert (rig.manager.status().mode, rig.vlm.listed) == (RECORDING, True)


STALE, GIVEN_UP = {"deadline_unix_s": 1.0}, {"sent_unix_s": 1.0}
OPERATIONS: dict[str, Callable[[GPUResourceManager, dict[str, float]], object]] = {
    "mode": lambda manager, times: manager.run(SetMode.build(mode=RECORDING, **times), JOB),
    "ask": lambda manager, times: manager.run(Ask.build(prompt="?", **times), JOB),
    "load": lambda manager, times: manager.run(LoadVlm.build(**times), JOB),
    "unload": lambda manager, times: manager.run(UnloadVlm.build(**times), JOB),
    "embed": lambda manager, times: manager.run(EmbedTexts.build(texts=("a",), **times), JOB),
    "find": lambda manager, times: manager.run(FindClip.build(**times), JOB),
    "tick": lambda manager, times: manager.run(Tick.build(**times), JOB),
    "ping": lambda manager, times: manager.run(Ping.build(**times), JOB),
}


@pytest.mark.parametrize("operate", OPERATIONS.values(), ids=OPERATIONS)
def test_what_nobody_waits_for_is_not_begun(operate: Callable[[GPUResourceManager, dict[str, float]], object]) -> None:
    rig = Rig().started()
    rig.history.deeds.clear()
    with pytest.raises(DeadlinePassed):
        operate(rig.manager, STALE)
    rig.stores.cancellations.job_ids.add(JOB.id)
    with pytest.raises(JobCancelled):
        operate(rig.manager, GIVEN_UP)
    assert rig.history.deeds == []


def test_stopping_ends_the_encoders() -> None:
    rig = Rig().started()
    rig.manager.stop()
    assert rig.clip.weights_on == frozenset()
