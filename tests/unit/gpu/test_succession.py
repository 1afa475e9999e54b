"""A manager that comes after another one, or is about to go: what it takes over, waits for, and breaks off."""

import threading

import pytest

from singletrack_tasks.errors import JobCancelled
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask
from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.judging.judge_process import JudgeProcess
from tests.fakes import FakeJudge
from tests.integration.ops.waiting import wait_for
from tests.unit.gpu.rig import Rig

ENDLESS = Ask(prompt="list everything", json_schema={"type": "array", "items": {"type": "string"}, "minItems": 100_000})


def ask_endlessly(rig: Rig, job: str = "endless", question: Ask = ENDLESS) -> "tuple[threading.Thread, list[type]]":
    """Ask what has no end, in a thread; returns when it is being answered."""
    errors: list[type] = []

    def ask() -> None:
        try:
            rig.manager.run(question, JobRef(job))
        except JobCancelled as error:
            errors.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: question.prompt in rig.vlm.prompts, "the VLM answers")
    return thread, errors


def test_a_call_that_nobody_heard_is_found_in_redis() -> None:
    rig = Rig().started()
    thread, errors = ask_endlessly(rig)
    rig.stores.cancellations.job_ids.add("another")
    rig.manager.look_for_cancellation()
    assert thread.is_alive()
    rig.stores.cancellations.job_ids.add("endless")
    rig.manager.look_for_cancellation()
    thread.join(10)
    assert errors == [JobCancelled]
    rig.manager.look_for_cancellation()


def test_at_the_end_whatever_is_in_flight_is_broken_off() -> None:
    rig = Rig().started()
    thread, errors = ask_endlessly(rig)
    rig.manager.break_off()
    thread.join(10)
    assert errors == [JobCancelled]
    assert rig.clip.pids == (None, None)
    assert isinstance(rig.judge, FakeJudge)
    assert rig.judge.stopped


@pytest.mark.parametrize("by", ["a cancellation", "the end", "another worker"])
def test_an_answer_that_is_being_judged_is_broken_off(by: str) -> None:
    """In the worker's own process a pattern like this one would let nobody break anything off."""
    judge = JudgeProcess(read_timeout_s=600)
    rig = Rig(judge=judge).started()
    costly = Ask(prompt="say a", json_schema={"enum": ["a" * 40 + "!"], "pattern": "^(a|a|a|a|a|a)*$"})
    thread, errors = ask_endlessly(rig, "costly", costly)
    wait_for(lambda: judge.pid is not None, "the answer is being judged")
    match by:
        case "a cancellation":
            assert rig.manager.cancel("costly")
        case "the end":
            rig.manager.break_off()
        case "another worker":
            rig.manager.overtaken()
    thread.join(60)
    assert errors == [JobCancelled]
    assert judge.pid is None
    judge.stop()


def test_what_another_worker_saved_is_taken_over_and_made_true() -> None:
    rig = Rig().started()
    other = rig.new_manager()
    other.start()
    rig.manager, first = other, rig.manager
    rig.set_mode(ExecutionMode.RECORDING)
    rig.vlm.evict()
    first.resume()
    assert first.status().mode is ExecutionMode.RECORDING
    assert rig.vlm.listed
    assert first.status().vlm.footprint_mb == other.status().vlm.footprint_mb


def test_a_server_that_may_be_busy_is_asked_before_anything_else() -> None:
    rig = Rig()
    rig.vlm.load_by_somebody()
    rig.manager.settle()
    assert rig.vlm.prompts == [" "]


def test_a_server_with_nothing_loaded_is_not_asked() -> None:
    rig = Rig()
    rig.manager.settle()
    assert rig.vlm.prompts == []


def test_a_server_that_is_away_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.vlm.faults.down = True
    rig.manager.settle()
    assert "still busy" in caplog.text
