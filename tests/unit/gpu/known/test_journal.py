"""What operations took, how they ended, and who hears of it."""

import pytest

from singletrack_tasks.errors import DeadlinePassed, InvalidImage, JobCancelled, NotEnoughVram
from singletrack_tasks.requests.embedding import EmbedTexts
from singletrack_tasks.requests.mode import SetMode
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask, LoadVlm, UnloadVlm
from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.stores import EndedOperation
from tests.unit.gpu.rig import Rig


def ended(rig: Rig) -> EndedOperation:
    """The operation that ended last."""
    return rig.stores.telemetry.operations[-1]


def test_operations_and_steps_are_learned_apart() -> None:
    rig = Rig().started()
    rig.vlm.load_s, rig.vlm.ask_s = 6.0, 2.0
    rig.manager.run(Ask(prompt="what?"), JobRef("j-1"))
    durations_s = rig.manager.status().durations_s
    assert durations_s["load_vlm"] == pytest.approx(6.0, rel=0.1)
    assert durations_s["ask"] == pytest.approx(2.0, rel=0.1)
    assert ended(rig).duration_s == pytest.approx(8.0, rel=0.1)


def test_a_wait_for_clip_to_start_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().started()

    def start_late(_: float) -> bool:
        rig.clock.advance(8.0)
        return True

    monkeypatch.setattr(rig.manager._clip_start._started, "wait", start_late)
    rig.manager.run(EmbedTexts(texts=("a button",)), JobRef("j-1"))
    assert rig.manager.status().durations_s["embed_texts"] < 1.0
    assert ended(rig).duration_s >= 8.0


def test_a_load_that_was_asked_for_is_known_by_its_step() -> None:
    rig = Rig().started()
    rig.vlm.load_s = 6.0
    rig.manager.run(LoadVlm(), JobRef("j-1"))
    rig.manager.run(LoadVlm(), JobRef("j-2"))
    rig.manager.run(UnloadVlm(), JobRef("j-3"))
    assert rig.manager.status().durations_s["load_vlm"] == pytest.approx(6.0, rel=0.1)


def test_the_newest_counts_most_and_the_rest_is_not_forgotten() -> None:
    rig = Rig().started()
    rig.manager.run(Ask(prompt="what?"), JobRef("j-1"))
    rig.vlm.ask_s = 11.0
    rig.manager.run(Ask(prompt="what?"), JobRef("j-2"))
    assert rig.manager.status().durations_s["ask"] == pytest.approx(0.7 * 1.0 + 0.3 * 11.0, rel=0.1)


def test_what_was_learned_survives_the_worker() -> None:
    rig = Rig().started()
    rig.manager.run(Ask(prompt="what?"), JobRef("j-1"))
    rig.manager.run(SetMode(mode=ExecutionMode.IDLE), JobRef("j-2"))
    learned_s = rig.manager.status().durations_s
    again = rig.new_manager().status().durations_s
    assert again["load_vlm"] == learned_s["load_vlm"]
    assert again["ask"] == learned_s["ask"]


def test_an_operation_says_how_it_ended() -> None:
    rig = Rig().started()
    rig.manager.run(Ping(sent_unix_s=rig.clock.time() - 3.0), JobRef("j-1"))
    operation = ended(rig)
    assert (operation.kind, operation.job_id, operation.outcome, operation.error) == ("ping", "j-1", "ok", None)
    assert operation.waited_s == pytest.approx(3.0)
    with pytest.raises(DeadlinePassed):
        rig.manager.run(Ping(deadline_unix_s=rig.clock.time() - 1), JobRef("j-2"))
    assert (ended(rig).outcome, ended(rig).error) == ("expired", "DeadlinePassed")
    rig.stores.cancellations.job_ids.add("j-3")
    with pytest.raises(JobCancelled):
        rig.manager.run(Ping(), JobRef("j-3"))
    assert ended(rig).outcome == "cancelled"
    assert rig.manager.status().last_error is None


def test_questions_that_were_put_again_are_counted() -> None:
    rig = Rig().started()
    rig.vlm.faults.ask_failures = 1
    rig.manager.run(Ask(prompt="what?"), JobRef("j-1"))
    assert (ended(rig).retries, ended(rig).moves) == (1, len(rig.stores.telemetry.moves))


def test_the_last_error_is_in_the_status() -> None:
    rig = Rig(total_mb=4096).started()
    rig.manager._track.footprints.vlm_mb = 5000
    with pytest.raises(NotEnoughVram):
        rig.manager.run(Ask(prompt="what?"), JobRef("j-1"))
    error = rig.manager.status().last_error
    assert error is not None
    assert (error.kind, error.job_id, error.error) == ("ask", "j-1", "NotEnoughVram")
    assert "5000" in error.message
    rig.manager.run(Ping(), JobRef("j-2"))
    assert rig.manager.status().last_error == error


def test_a_long_error_is_cut_to_one_line() -> None:
    rig = Rig().started()
    with pytest.raises(InvalidImage), rig.manager._turns.take(Ask(prompt="?"), JobRef("j-1")):
        raise InvalidImage("no\nimage " * 200)
    error = rig.manager.status().last_error
    assert error is not None
    assert len(error.message) <= 300
    assert "\n" not in error.message


def test_an_error_that_names_half_a_character_leaves_a_status_that_can_be_published() -> None:
    rig = Rig().started()
    with pytest.raises(InvalidImage), rig.manager._turns.take(Ask(prompt="?"), JobRef("j-1")):
        raise InvalidImage("no image at \ud800")
    assert '"error":"InvalidImage"' in rig.manager.status().model_dump_json()


def test_steps_are_told_with_what_they_failed_of() -> None:
    rig = Rig().started()
    rig.vlm.faults.load_failures = 3
    rig.manager.run(SetMode(mode=ExecutionMode.RECORDING), JobRef("j-1"))
    receipt, error = rig.stores.telemetry.moves[-1]
    assert (receipt.step, receipt.ok, receipt.attempts) == ("load_vlm", False, 3)
    assert error is not None
    assert "load_vlm" not in rig.manager.status().durations_s
