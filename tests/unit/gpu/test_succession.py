"""A manager that comes after another one, or is about to go: what it takes over, waits for, and breaks off."""

import threading

import pytest

from singletrack_tasks.errors import JobCancelled
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.vlm import Ask
from singletrack_tasks.status import ExecutionMode
from tests.integration.ops.waiting import wait_for
from tests.unit.gpu.rig import Rig

ENDLESS = Ask(prompt="list everything", json_schema={"type": "array", "items": {"type": "string"}, "minItems": 100_000})


def ask_endlessly(rig: Rig, job: str = "endless") -> "tuple[threading.Thread, list[type]]":
    """Ask what has no end, in a thread; returns when it is being answered."""
    errors: list[type] = []

    def ask() -> None:
        try:
            rig.manager.run(ENDLESS, JobRef(job))
        except JobCancelled as error:
            errors.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: ENDLESS.prompt in rig.vlm.prompts, "the VLM answers")
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
