"""From a demand to receipts, and the pauses between attempts at what failed."""

import pytest

from singletrack_tasks.result import DegradedCode, StepName
from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.moving.pauses import MAX_PAUSE_S, Pauses
from tests.fakes import FakeClock
from tests.unit.gpu.rig import Rig

AUTOPILOT, RECORDING, IDLE = ExecutionMode.AUTOPILOT, ExecutionMode.RECORDING, ExecutionMode.IDLE
FIRST_S = 15.0


class TestPauses:
    def test_what_never_failed_does_not_rest(self) -> None:
        assert Pauses(FakeClock(), FIRST_S).leave_out(("demote_clip", "load_vlm")) == ("demote_clip", "load_vlm")

    def test_pauses_grow_to_a_limit(self) -> None:
        clock = FakeClock()
        pauses = Pauses(clock, FIRST_S)
        lengths_s = []
        for _ in range(7):
            pauses.begin("load_vlm")
            began_s = clock.monotonic()
            while not pauses.leave_out(("load_vlm",)):
                clock.advance(FIRST_S)
            lengths_s.append(clock.monotonic() - began_s)
        assert lengths_s == [15, 30, 60, 120, 240, MAX_PAUSE_S, MAX_PAUSE_S]

    def test_success_ends_them(self) -> None:
        pauses = Pauses(FakeClock(), FIRST_S)
        pauses.begin("load_vlm")
        pauses.end("load_vlm")
        pauses.end("load_vlm")
        assert pauses.leave_out(("load_vlm",)) == ("load_vlm",)

    @pytest.mark.parametrize(
        ("steps", "left"),
        [
            (("load_vlm",), ("load_vlm",)),
            (("demote_clip", "load_vlm"), ()),
            (("unload_vlm", "promote_clip"), ("unload_vlm", "promote_clip")),
        ],
    )
    def test_what_relies_on_a_step_that_rests_is_left_out(
        self, steps: tuple[StepName, ...], left: tuple[StepName, ...]
    ) -> None:
        pauses = Pauses(FakeClock(), FIRST_S)
        pauses.begin("demote_clip")
        assert pauses.leave_out(steps) == left

    def test_a_promotion_does_not_wait_for_an_unload_that_rests(self) -> None:
        pauses = Pauses(FakeClock(), FIRST_S)
        pauses.begin("unload_vlm")
        assert pauses.leave_out(("unload_vlm", "promote_clip")) == ("promote_clip",)

    def test_what_fell_rests_longer_each_time_whatever_its_success_in_between(self) -> None:
        clock = FakeClock()
        pauses = Pauses(clock, FIRST_S)
        lengths_s = []
        for _ in range(3):
            pauses.fell("promote_clip")
            pauses.end("promote_clip")
            began_s = clock.monotonic()
            while not pauses.leave_out(("promote_clip",)):
                clock.advance(FIRST_S)
            lengths_s.append(clock.monotonic() - began_s)
        assert lengths_s == [15, 30, 60]
        clock.advance(MAX_PAUSE_S + 1)
        pauses.fell("promote_clip")
        clock.advance(FIRST_S)
        assert pauses.leave_out(("promote_clip",)) == ("promote_clip",)


def steps(rig: Rig) -> list[str]:
    """The steps that were begun since the last question, by what was done to the tenants."""
    made = [deed.what for deed in rig.history.deeds if deed.what in {"load", "unload", "promote", "demote"}]
    rig.history.deeds.clear()
    return made


def test_the_receipts_are_those_of_the_steps_in_order() -> None:
    rig = Rig().started()
    rig.set_mode(AUTOPILOT)
    receipts = rig.set_mode(RECORDING).receipts
    assert [(receipt.step, receipt.ok) for receipt in receipts] == [("demote_clip", True), ("load_vlm", True)]
    assert receipts[0].vram_after_mb == receipts[1].vram_before_mb


def test_events_tell_of_each_step() -> None:
    rig = Rig().started()
    rig.set_mode(AUTOPILOT)
    rig.set_mode(RECORDING)
    told = [kind for kind in rig.kinds() if kind != "resource_changed"]
    assert told == ["clip_migrated", "mode_changed", "clip_migrated", "vlm_loaded", "mode_changed"]


def test_a_tick_tries_again_what_failed_after_growing_pauses() -> None:
    rig = Rig(idle_timeout_s=0).started()
    rig.vlm.faults.load_failures = 100
    rig.set_mode(RECORDING)
    assert rig.codes() == {DegradedCode.VLM_LOAD_FAILED}
    steps(rig)
    tried = []
    for _ in range(8):
        rig.tick(after_s=15)
        tried.append(steps(rig))
    assert tried == [["load"], [], ["load"], [], [], [], ["load"], []]


def test_a_server_that_is_back_is_tried_at_once_and_ends_degraded_mode() -> None:
    rig = Rig(idle_timeout_s=0).started()
    rig.vlm.faults.down = True
    rig.set_mode(RECORDING)
    for _ in range(4):
        rig.tick(after_s=15)
    assert DegradedCode.OLLAMA_UNREACHABLE in rig.codes()
    rig.vlm.faults.down = False
    rig.tick()
    assert rig.vlm.listed
    assert rig.codes() == set()


def test_a_promotion_that_fails_is_a_reason_until_it_works() -> None:
    rig = Rig().started()
    rig.clip.faults.promote_failures = 1
    rig.set_mode(AUTOPILOT)
    assert rig.codes() == {DegradedCode.CLIP_MIGRATION_FAILED}
    rig.tick(after_s=20)
    assert rig.codes() == set()
    assert rig.clip.device == "cuda:0"


def test_memory_that_comes_back_late_ends_degraded_mode_by_itself() -> None:
    rig = Rig(vram_release_timeout_s=5.0).started()
    rig.set_mode(RECORDING)
    rig.vlm.faults.release_delay_s = 30.0
    rig.set_mode(IDLE)
    rig.set_mode(AUTOPILOT)
    assert DegradedCode.VRAM_NOT_RELEASED in rig.codes()
    rig.tick(after_s=30)
    assert rig.codes() == set()


def test_what_is_said_of_a_failed_load_ends_when_nobody_wants_the_vlm() -> None:
    rig = Rig().started()
    rig.vlm.faults.model_missing = True
    rig.set_mode(RECORDING)
    assert rig.codes() == {DegradedCode.VLM_MODEL_MISSING}
    rig.set_mode(AUTOPILOT)
    rig.tick()
    assert rig.codes() == set()


def test_without_room_clip_stays_on_the_cpu_and_that_is_no_failure() -> None:
    rig = Rig(1000).started()
    result = rig.set_mode(AUTOPILOT)
    assert (result.receipts, result.reasons) == ((), ())


def test_a_failed_unload_is_a_reason_and_is_made_up_for_whatever_the_timeout() -> None:
    rig = Rig(idle_timeout_s=0).started()
    rig.set_mode(RECORDING)
    rig.vlm.faults.unload_failures = 1
    result = rig.set_mode(AUTOPILOT)
    assert [reason.code for reason in result.reasons] == [DegradedCode.VRAM_NOT_RELEASED]
    rig.tick(after_s=20)
    assert not rig.vlm.listed
    assert rig.codes() == set()


def test_clip_that_fell_off_the_gpu_for_want_of_memory_is_not_put_back_by_each_tick() -> None:
    rig = Rig().started()
    rig.set_mode(AUTOPILOT)
    promoted = []
    for _ in range(8):
        if rig.clip.device != "cpu":
            rig.clip.gpu_encoder_dies("out_of_memory")
        rig.tick(after_s=15)
        promoted.append(rig.clip.device != "cpu")
    assert promoted == [False, True, False, False, True, False, False, False]


def test_clip_that_fell_off_the_gpu_for_want_of_memory_goes_back_when_a_mode_asks_for_it() -> None:
    rig = Rig().started()
    rig.set_mode(AUTOPILOT)
    rig.clip.gpu_encoder_dies("out_of_memory")
    rig.tick(after_s=15)
    assert rig.clip.device == "cpu"
    rig.set_mode(AUTOPILOT)
    assert rig.clip.device == "cuda:0"
