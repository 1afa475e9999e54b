"""What is observed, and the reasons for degraded mode that follow from it and end with it."""

import pytest

from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ExecutionMode, ModelState
from tests.unit.gpu.rig import CLIP_MB, DESKTOP_MB, VLM_MB, Rig


def text_of(rig: Rig, code: DegradedCode) -> str:
    """What is said of a reason that holds."""
    return next(reason.message for reason in rig.manager.status().reasons if reason.code is code)


def test_everything_is_read_anew() -> None:
    rig = Rig()
    assert rig.observer.observe().vlm is ModelState.UNLOADED
    rig.vlm.load_by_somebody()
    observed = rig.observer.observe()
    listing = rig.manager._track.listing
    assert listing is not None
    assert (observed.vlm, listing.vram_mb, observed.vlm_needs_mb) == (ModelState.LOADED, VLM_MB, None)
    assert observed.vram is not None
    assert observed.vram.used_mb == DESKTOP_MB + VLM_MB
    assert (observed.clip_on_gpu, observed.clip_ready, observed.clip_needs_mb) == (False, False, CLIP_MB)


def test_no_gpu_is_a_reason_from_the_start() -> None:
    assert Rig(None).codes() == {DegradedCode.NO_GPU}
    assert Rig().codes() == set()


def test_a_gpu_that_cannot_be_read_is_unknown_and_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().started()
    rig.set_mode(ExecutionMode.AUTOPILOT)
    assert rig.manager.status().clip.device == "cuda:0"
    with monkeypatch.context() as blind:
        blind.setattr(rig.vram, "read", lambda: None)
        rig.tick(15)
        status = rig.manager.status()
        assert rig.codes() == {DegradedCode.GPU_UNREADABLE}
        assert (status.gpu, status.vram) == (rig.vram.gpu, None)
        assert status.clip.device == "cuda:0", "CLIP stays where it is"
    rig.tick(15)
    assert rig.codes() == set()


def test_without_readings_nothing_that_was_wrong_is_taken_for_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(vram_release_timeout_s=5.0)
    rig.vlm.faults.cpu_mb = 1000
    rig.set_mode(ExecutionMode.RECORDING)
    rig.vlm.faults.release_delay_s = 60.0
    with monkeypatch.context() as blind:
        blind.setattr(rig.vram, "read", lambda: None)
        rig.observer.observe()
        assert rig.codes() == {DegradedCode.VLM_PARTLY_ON_CPU, DegradedCode.GPU_UNREADABLE}
    rig.set_mode(ExecutionMode.AUTOPILOT)
    assert DegradedCode.VRAM_NOT_RELEASED in rig.codes()
    with monkeypatch.context() as blind:
        blind.setattr(rig.vram, "read", lambda: None)
        rig.observer.observe()
        assert DegradedCode.VRAM_NOT_RELEASED in rig.codes()
    rig.clock.advance(60)
    rig.observer.observe()
    assert rig.codes() == set()


def test_a_server_that_does_not_answer_is_a_reason_until_it_does() -> None:
    rig = Rig()
    rig.vlm.faults.down = True
    assert rig.observer.observe().vlm is ModelState.UNAVAILABLE
    assert rig.codes() == {DegradedCode.OLLAMA_UNREACHABLE}
    rig.vlm.faults.down = False
    assert rig.observer.observe().vlm is ModelState.UNLOADED
    assert rig.codes() == set()


def test_a_model_partly_on_the_cpu_is_a_reason_with_the_figures() -> None:
    rig = Rig()
    rig.vlm.faults.cpu_mb = 1000
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.codes() == {DegradedCode.VLM_PARTLY_ON_CPU}
    assert text_of(rig, DegradedCode.VLM_PARTLY_ON_CPU).startswith("4600 of the 5600 MB of fake-vlm:1b are on the GPU")
    assert rig.observer.observe().vlm_needs_mb is None, "half a model is no measure of it"
    rig.vlm.evict()
    rig.observer.observe()
    assert rig.codes() == set()


def test_a_model_that_takes_less_than_before_is_a_reason_though_the_server_says_nothing() -> None:
    rig = Rig()
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.observer.observe().vlm_needs_mb == VLM_MB
    rig.set_mode(ExecutionMode.AUTOPILOT)
    rig.vlm.faults.silent_cpu_mb = 2000
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.codes() == {DegradedCode.VLM_VRAM_SHORT}
    assert "took 3600 MB of this GPU's VRAM where at least 4480 MB were expected" in text_of(
        rig, DegradedCode.VLM_VRAM_SHORT
    )
    assert rig.observer.observe().vlm_needs_mb == VLM_MB
    rig.vlm.evict()
    rig.observer.observe()
    assert rig.codes() == set()


@pytest.mark.parametrize("silent_mb", [0, 1000])
def test_a_little_less_is_no_reason(silent_mb: int) -> None:
    rig = Rig()
    rig.set_mode(ExecutionMode.RECORDING)
    rig.set_mode(ExecutionMode.AUTOPILOT)
    rig.vlm.faults.silent_cpu_mb = silent_mb
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.codes() == set()
    assert rig.observer.observe().vlm_needs_mb == VLM_MB - silent_mb


def test_what_a_stranger_took_amid_a_load_is_not_learned() -> None:
    rig = Rig(24_000)
    stranger_mb = [0]
    rig.vram.add_tenant("stranger", lambda: stranger_mb[0])  # type: ignore[attr-defined]  # the simulated GPU
    rig.clock.on_sleep = lambda: stranger_mb.__setitem__(0, 9000)
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.observer.observe().vlm_needs_mb is None


class Stranger:
    """Another process on the GPU, which takes memory amid the next pause of the worker."""

    def __init__(self, rig: Rig) -> None:
        self.holds_mb = 0
        self._rig = rig
        rig.vram.add_tenant("stranger", lambda: self.holds_mb)  # type: ignore[attr-defined]  # the simulated GPU

    def takes(self, mb: int) -> None:
        """Take memory at the next pause, and no more at later ones."""

        def take() -> None:
            self.holds_mb = mb
            self._rig.clock.on_sleep = lambda: None

        self._rig.clock.on_sleep = take


def test_what_a_stranger_took_amid_a_load_is_taken_off_the_footprint() -> None:
    rig = Rig()
    stranger = Stranger(rig)
    stranger.takes(1500)
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.observer.observe().vlm_needs_mb == VLM_MB + 1500
    rig.set_mode(ExecutionMode.AUTOPILOT)
    assert rig.observer.observe().vlm_needs_mb == VLM_MB
    stranger.holds_mb = 900
    assert [receipt.ok for receipt in rig.set_mode(ExecutionMode.RECORDING).receipts] == [True]


def test_a_footprint_that_is_much_too_large_ends_with_a_load_that_had_room_for_it() -> None:
    rig = Rig(12_000)
    stranger = Stranger(rig)
    stranger.takes(2000)
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.observer.observe().vlm_needs_mb == VLM_MB + 2000
    rig.vlm.evict()
    stranger.holds_mb = 0
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.observer.observe().vlm_needs_mb == VLM_MB
    assert rig.codes() == set()


def test_what_a_stranger_took_amid_a_migration_does_not_hold_up_the_next() -> None:
    rig = Rig(24_000).started()
    stranger = Stranger(rig)
    before_mb = rig.used_mb()
    rig.set_mode(ExecutionMode.AUTOPILOT)
    rig.observer.learn_clip(before_mb, rig.used_mb() + 2000)
    stranger.holds_mb = 2000
    assert rig.observer.observe().clip_needs_mb == CLIP_MB + 2000
    demote, load = rig.set_mode(ExecutionMode.RECORDING).receipts
    assert (demote.ok, load.ok, rig.codes()) == (True, True, set())
    assert rig.observer.observe().clip_needs_mb == CLIP_MB


def test_memory_that_a_stranger_gave_back_amid_a_migration_does_not_stay_late_for_ever() -> None:
    rig = Rig().started()
    stranger = Stranger(rig)
    rig.set_mode(ExecutionMode.AUTOPILOT)
    stranger.takes(2000)
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.codes() == {DegradedCode.VRAM_NOT_RELEASED}
    stranger.takes(800)
    rig.set_mode(ExecutionMode.AUTOPILOT)
    stranger.holds_mb = 0
    rig.tick()
    assert (rig.clip.device, rig.codes()) == ("cuda:0", set())


@pytest.mark.parametrize("taken_mb", [3000, 20_000])
def test_a_visitor_that_a_stranger_split_keeps_its_place_beside_clip(taken_mb: int) -> None:
    rig = Rig(24_000, idle_timeout_s=60).started()
    stranger = Stranger(rig)
    rig.set_mode(ExecutionMode.RECORDING)
    rig.set_mode(ExecutionMode.AUTOPILOT)
    rig.vlm.faults.cpu_mb = 4000 if taken_mb < 20_000 else 0
    stranger.takes(taken_mb)
    for _ in range(2):
        answer = rig.manager.run(Ask(prompt="?"), JobRef("visit"))
        assert [receipt.step for receipt in answer.receipts] == ["load_vlm"]
        rig.vlm.faults.cpu_mb = stranger.holds_mb = 0
        rig.tick(after_s=100)
    assert rig.clip.device == "cuda:0"


def test_footprints_outlive_the_worker() -> None:
    rig = Rig().started()
    rig.set_mode(ExecutionMode.RECORDING)
    rig.set_mode(ExecutionMode.AUTOPILOT)
    rig.manager = rig.new_manager()
    observed = rig.observer.observe()
    assert (observed.vlm_needs_mb, observed.clip_needs_mb) == (VLM_MB, CLIP_MB)


# More than the server's figure can confirm: as with the vision part of a small model.
LISTED_MB, BESIDE_MB = 2400, 1800


def rig_with_a_vision_part() -> Rig:
    """A model that takes much more than its server lists."""
    rig = Rig()
    rig.vlm.size_mb, rig.vlm.overhead_mb = LISTED_MB, BESIDE_MB
    return rig


def test_a_load_that_is_followed_by_an_unload_of_the_same_size_is_learned() -> None:
    rig = rig_with_a_vision_part()
    rig.set_mode(ExecutionMode.RECORDING)
    assert rig.observer.observe().vlm_needs_mb is None
    rig.set_mode(ExecutionMode.AUTOPILOT)
    assert rig.observer.observe().vlm_needs_mb == LISTED_MB + BESIDE_MB


def test_a_load_is_not_learned_if_its_unload_gives_back_less() -> None:
    rig = rig_with_a_vision_part()
    stranger_mb = [0]
    rig.vram.add_tenant("stranger", lambda: stranger_mb[0])  # type: ignore[attr-defined]  # the simulated GPU
    rig.clock.on_sleep = lambda: stranger_mb.__setitem__(0, 900)
    rig.set_mode(ExecutionMode.RECORDING)
    rig.set_mode(ExecutionMode.AUTOPILOT)
    assert rig.observer.observe().vlm_needs_mb is None


def test_a_load_is_not_learned_if_the_server_evicted_it_before_its_unload() -> None:
    rig = rig_with_a_vision_part()
    rig.set_mode(ExecutionMode.RECORDING)
    rig.vlm.evict()
    rig.set_mode(ExecutionMode.AUTOPILOT)
    assert rig.observer.observe().vlm_needs_mb is None
