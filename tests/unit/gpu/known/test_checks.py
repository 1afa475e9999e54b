"""Checks that do not come are seen; those that come together are made once."""

import pytest

from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import JobRef
from singletrack_tasks.requests.upkeep import Tick, TickResult
from singletrack_tasks.result import DegradedCode
from singletrack_worker.gpu.known.checks import LEAST_S, MISSED_MAX
from tests.unit.gpu.rig import Rig

EVERY_S = 15.0
PATIENCE_S = MISSED_MAX * EVERY_S
MISSING = DegradedCode.CHECKS_MISSING


def rig(every_s: float = EVERY_S) -> Rig:
    return Rig(tick_interval_s=every_s).started()


def check(rig: Rig, every_s: float = EVERY_S) -> TickResult:
    """Be beat."""
    return rig.manager.run(Tick(every_s=every_s), JobRef("check"))


def wait(rig: Rig, duration_s: float, *, could_come: bool = True) -> None:
    """Let time pass, and look every second, as the thread that publishes the status does."""
    for _ in range(round(duration_s)):
        rig.clock.advance(1)
        rig.manager.look_for_checks(could_come=could_come)


def test_checks_that_never_came_are_missing_after_three_intervals() -> None:
    here = rig()
    wait(here, PATIENCE_S - 1)
    assert MISSING not in here.codes()
    wait(here, 2)
    (reason,) = [held for held in here.manager.status().reasons if held.code is MISSING]
    assert "45 s" in reason.message
    assert "every 15 s" in reason.message


def test_the_reason_goes_with_the_next_check_and_comes_again() -> None:
    here = rig()
    wait(here, PATIENCE_S + 1)
    check(here)
    assert MISSING not in here.codes()
    wait(here, PATIENCE_S + 1)
    assert MISSING in here.codes()
    assert here.kinds().count("degraded") == 2
    assert here.kinds().count("recovered") == 1


def test_checks_that_come_are_not_missed_whoever_sends_them() -> None:
    here = rig()
    for send in (check, Rig.tick) * 4:
        wait(here, EVERY_S)
        send(here)
        assert MISSING not in here.codes()


def test_it_is_not_beats_fault_that_the_worker_takes_none() -> None:
    here = rig()
    wait(here, 10 * PATIENCE_S, could_come=False)
    with here.manager._turns.take(Ping(), JobRef("long")):
        wait(here, 10 * PATIENCE_S)
    # Paused, or waiting for Redis: there was no look for a long time.
    here.clock.advance(10 * PATIENCE_S)
    here.manager.look_for_checks(could_come=True)
    assert MISSING not in here.codes()


def test_the_interval_is_that_of_who_sends_them() -> None:
    here = rig()
    check(here, 60.0)
    wait(here, MISSED_MAX * 60 - 1)
    assert MISSING not in here.codes()
    wait(here, 2)
    assert MISSING in here.codes()


def test_a_short_interval_leaves_beat_the_time_to_start() -> None:
    here = rig(0.5)
    wait(here, LEAST_S - 1)
    assert MISSING not in here.codes()


def test_the_steps_of_a_wall_clock_change_nothing() -> None:
    here = rig()
    check(here)
    for step_s in (-3600, 7200):
        here.clock.step_wall_clock(step_s)
        wait(here, EVERY_S)
        assert not check(here).merged
        assert MISSING not in here.codes()
    assert here.manager.status().last_check_unix_s == pytest.approx(here.clock.time())


def test_checks_that_waited_behind_a_long_operation_are_made_once() -> None:
    here = rig()
    here.clock.advance(EVERY_S)
    results = [check(here) for _ in range(40)]
    assert [result.merged for result in results] == [False] + [True] * 39
    assert "merged" in results[-1].summary
    here.clock.advance(EVERY_S)
    assert not check(here).merged


def test_a_merged_check_has_no_turn_and_looks_at_nothing() -> None:
    here = rig()
    here.clock.advance(EVERY_S)
    check(here)
    ended = len(here.stores.telemetry.operations)
    check(here)
    assert len(here.stores.telemetry.operations) == ended


def test_a_check_that_somebody_asked_for_is_always_made() -> None:
    here = rig()
    check(here)
    assert not here.tick().merged
    assert not here.tick().merged


def test_the_status_tells_when_the_last_regular_check_came() -> None:
    here = rig()
    here.tick()
    assert here.manager.status().last_check_unix_s is None
    check(here)
    at = here.clock.time()
    here.clock.advance(7)
    assert here.manager.status().last_check_unix_s == pytest.approx(at, abs=0.01)
