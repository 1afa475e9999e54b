"""The four steps: verified with the driver, tried again as often as they are told to, written down."""

import pytest

from singletrack_tasks.errors import MigrationFailed, ModelMissing, OllamaFailure, VlmLoadFailed, VramNotReleased
from singletrack_tasks.result import StepReceipt, release_tolerance_mb
from singletrack_tasks.status import ModelState
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.known.release import Owed
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.moving.releasing import Freed
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from tests.unit.gpu.rig import DESKTOP_MB, VLM_MB, Rig, failure


def state(rig: Rig) -> ModelState:
    return rig.manager.status().vlm.state


def test_a_load_is_written_down() -> None:
    rig = Rig()
    receipt = rig.move("load_vlm", Demand.VLM).receipt
    assert (receipt.ok, receipt.verified, receipt.attempts, receipt.detail) == (True, True, 1, "")
    assert (receipt.vram_before_mb, receipt.vram_after_mb) == (DESKTOP_MB, DESKTOP_MB + VLM_MB)
    assert receipt.duration_s == rig.vlm.load_s
    assert rig.vlm.listed


def test_a_load_that_fails_is_tried_three_times_with_growing_pauses() -> None:
    rig = Rig(retry_pause_s=1.0)
    rig.vlm.faults.load_failures = 3
    rig.vlm.load_s = 0.0
    move = rig.move("load_vlm", Demand.VLM)
    assert isinstance(failure(move), OllamaFailure)
    assert [pause_s for pause_s in rig.clock.slept_s if pause_s] == [1.0, 2.0]
    assert (move.receipt.ok, move.receipt.attempts) == (False, 3)
    assert "as it was told to" in move.receipt.detail
    assert state(rig) is ModelState.FAILED


def test_a_load_that_works_at_last_counts_its_attempts() -> None:
    rig = Rig()
    rig.vlm.faults.load_failures = 2
    move = rig.move("load_vlm", Demand.VLM)
    assert (move.error, move.receipt.attempts) == (None, 3)


def test_what_stays_wrong_is_not_tried_again() -> None:
    rig = Rig()
    rig.vlm.faults.model_missing = True
    move = rig.move("load_vlm", Demand.VLM)
    assert isinstance(failure(move), ModelMissing)
    assert move.receipt.attempts == 1
    assert [deed.what for deed in rig.history.deeds].count("load") == 1


def test_a_load_that_was_called_off_is_not_tried_again() -> None:
    rig = Rig()
    rig.vlm.faults.load_failures = 3
    cancellation = Cancellation()
    rig.clock.on_sleep = cancellation.cancel
    rig.observer.observe()
    failure(rig.mover.make("load_vlm", Demand.VLM, cancellation))
    assert [deed.what for deed in rig.history.deeds].count("load") == 1


def test_loaded_means_listed() -> None:
    rig = Rig()
    rig.vlm.faults.vanishes_after_load = 1
    assert isinstance(failure(rig.move("load_vlm")), VlmLoadFailed)


def test_unloaded_means_that_the_memory_is_back() -> None:
    rig = Rig()
    rig.vlm.load()
    rig.vlm.faults.release_delay_s = 3.0
    states = []
    rig.clock.on_sleep = lambda: states.append(state(rig))
    receipt = rig.move("unload_vlm").receipt
    assert (receipt.ok, receipt.verified) == (True, True)
    assert receipt.duration_s >= 3.0
    assert receipt.vram_after_mb == DESKTOP_MB
    assert set(states) == {ModelState.UNLOADING}
    assert state(rig) is ModelState.UNLOADED


def test_memory_that_does_not_come_back_is_told_with_the_figures() -> None:
    rig = Rig(vram_release_timeout_s=5.0)
    rig.vlm.load()
    rig.vlm.faults.release_delay_s = 60.0
    error = failure(rig.move("unload_vlm"))
    assert isinstance(error, VramNotReleased)
    before_mb = DESKTOP_MB + VLM_MB
    expected_mb = before_mb - int(VLM_MB * 0.8)
    assert error.details == {
        "used_mb": before_mb,
        "expected_mb": expected_mb,
        "before_mb": before_mb,
        "taken_mb": VLM_MB,
    }
    assert f"{before_mb} MB of VRAM are in use where at most {expected_mb} MB were expected" in error.message


def test_another_unload_goes_on_waiting_for_the_same_memory() -> None:
    rig = Rig(vram_release_timeout_s=5.0)
    rig.vlm.load()
    rig.vlm.faults.release_delay_s = 12.0
    moves = [rig.move("unload_vlm") for _ in range(3)]
    assert [move.receipt.ok for move in moves] == [False, False, True]
    assert [move.receipt.verified for move in moves] == [False, False, True]
    assert rig.used_mb() == DESKTOP_MB


def test_one_low_reading_is_not_enough() -> None:
    rig = Rig()
    rig.vlm.load()
    rig.clock.slept_s.clear()
    # Twice before the unload; then low once, high again, and low for good.
    readings_mb = [VLM_MB, VLM_MB, 0, VLM_MB, 0, 0]
    assert isinstance(rig.vram, SimulatedGpu)
    rig.observer.observe()
    rig.vram.add_tenant("vlm", lambda: readings_mb.pop(0) if readings_mb else 0)
    move = rig.mover.make("unload_vlm", Demand.UPKEEP, Cancellation())
    assert move.receipt.ok
    assert readings_mb == []
    assert len(rig.clock.slept_s) == 3


def receipt_of_an_unload(rig: Rig, readings_mb: list[int]) -> StepReceipt:
    """Unload a model of `VLM_MB` while the driver reports what it takes; the last reading goes on for ever."""
    rig.vlm.load()
    assert isinstance(rig.vram, SimulatedGpu)
    rig.observer.observe()
    # The first two are taken before the unload.
    left_mb = [VLM_MB, VLM_MB, *readings_mb]
    rig.vram.add_tenant("vlm", lambda: left_mb.pop(0) if len(left_mb) > 1 else left_mb[0])
    return rig.mover.make("unload_vlm", Demand.UPKEEP, Cancellation()).receipt


def test_released_means_nearly_all_of_it() -> None:
    receipt = receipt_of_an_unload(Rig(), [VLM_MB, VLM_MB // 6, VLM_MB // 6, 280])
    assert (receipt.ok, receipt.taken_mb, receipt.left_mb, receipt.detail) == (True, VLM_MB, 280, "")
    assert receipt.usable_after_s == pytest.approx(0.05)
    assert receipt.released_after_s == pytest.approx(0.15)


@pytest.mark.parametrize("left_mb", [281, VLM_MB // 5])
def test_a_driver_that_keeps_a_part_holds_work_up_for_a_moment_only_and_the_receipt_says_so(left_mb: int) -> None:
    receipt = receipt_of_an_unload(Rig(), [left_mb])
    assert (receipt.ok, receipt.taken_mb, receipt.left_mb) == (True, VLM_MB, left_mb)
    assert (receipt.usable_after_s, receipt.released_after_s) == (0, None)
    assert receipt.detail == f"{left_mb} of its {VLM_MB} MB were still in use when work went on"
    assert receipt.duration_s == pytest.approx(2.0, abs=0.06)


def test_a_small_tenant_may_leave_64_mb() -> None:
    assert (release_tolerance_mb(500), release_tolerance_mb(40_000)) == (64, 2000)


@pytest.mark.parametrize("total_mb", [None, 8192])
def test_clip_comes_and_goes(total_mb: int | None) -> None:
    rig = Rig(total_mb)
    rig.clip.start()
    promoted = rig.move("promote_clip")
    assert promoted.receipt.ok is (total_mb is not None)
    demoted = rig.move("demote_clip")
    assert demoted.receipt.ok
    assert rig.clip.device == "cpu"


def test_a_promotion_that_fails_leaves_clip_where_it_was() -> None:
    rig = Rig()
    rig.clip.start()
    rig.clip.faults.promote_failures = 1
    assert isinstance(failure(rig.move("promote_clip")), MigrationFailed)
    assert (rig.clip.device, rig.clip.find(), rig.used_mb()) == ("cpu", "cpu", DESKTOP_MB)


def test_without_a_gpu_a_receipt_has_no_figures() -> None:
    rig = Rig(None)
    receipt = rig.move("load_vlm").receipt
    assert (receipt.ok, receipt.vram_before_mb, receipt.vram_after_mb) == (True, None, None)
    unloaded = rig.move("unload_vlm").receipt
    assert (receipt.verified, unloaded.ok, unloaded.verified) == (False, True, False)


@pytest.mark.parametrize("blind_from", ["the beginning", "the unload", "the second reading after it"])
def test_what_the_driver_does_not_tell_is_not_verified(monkeypatch: pytest.MonkeyPatch, blind_from: str) -> None:
    rig = Rig(vram_release_timeout_s=2.0)
    rig.vlm.load()
    rig.observer.observe()
    readings = {"the beginning": 0, "the unload": 2, "the second reading after it": 3}[blind_from]
    left, read = iter(range(readings)), rig.vram.read
    monkeypatch.setattr(rig.vram, "read", lambda: read() if next(left, None) is not None else None)
    move = rig.mover.make("unload_vlm", Demand.UPKEEP, Cancellation())
    assert move.error is None, "unknown is no failure either"
    assert (move.receipt.ok, move.receipt.verified) == (True, False)


def test_readings_that_come_back_too_late_verify_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(vram_release_timeout_s=3.0)
    rig.vlm.load()
    rig.observer.observe()
    wait = rig.mover._releasing.wait

    def wait_blindly(tenant: str, owed: Owed, freed: Freed) -> None:
        with monkeypatch.context() as blind:
            blind.setattr(rig.vram, "read", lambda: None)
            wait(tenant, owed, freed)

    monkeypatch.setattr(rig.mover._releasing, "wait", wait_blindly)
    receipt = rig.mover.make("unload_vlm", Demand.UPKEEP, Cancellation()).receipt
    assert (receipt.ok, receipt.verified, receipt.vram_after_mb) == (True, False, DESKTOP_MB)
    assert (receipt.usable_after_s, receipt.released_after_s) == (None, None)


def test_readings_that_come_back_in_time_verify_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(vram_release_timeout_s=60.0)
    rig.vlm.load()
    rig.observer.observe()
    read, blind = rig.vram.read, [False]
    monkeypatch.setattr(rig.vram, "read", lambda: None if blind[0] else read())
    unload = rig.vlm.unload

    def goes_blind() -> None:
        unload()
        blind[0] = True

    monkeypatch.setattr(rig.vlm, "unload", goes_blind)
    rig.clock.on_sleep = lambda: blind.__setitem__(0, len(rig.clock.slept_s) < 20)
    move = rig.mover.make("unload_vlm", Demand.UPKEEP, Cancellation())
    assert (move.receipt.ok, move.receipt.verified) == (True, True)
    assert len(rig.clock.slept_s) >= 20
