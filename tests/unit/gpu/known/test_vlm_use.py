"""The idle clock of the VLM: monotonic while a worker lives, by the wall clock from one worker to the next."""

import pytest

from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.known.vlm_use import VlmUse
from singletrack_worker.gpu.stores import SavedState
from tests.fakes import FakeClock

TIMEOUT_S = 300.0
HOUR_S = 3600.0


def used(clock: FakeClock, saved: SavedState | None = None, timeout_s: float = TIMEOUT_S) -> VlmUse:
    use = VlmUse(saved or SavedState(), clock, timeout_s)
    use.touch()
    return use


def test_nobody_wants_what_was_never_used() -> None:
    use = VlmUse(SavedState(), FakeClock(), TIMEOUT_S)
    assert (use.known, use.wanted, use.idle_s) == (False, False, 0.0)


def test_it_is_wanted_until_the_timeout_and_not_at_it() -> None:
    clock = FakeClock()
    use = used(clock)
    wanted = []
    for passed_s in (0.0, TIMEOUT_S - 0.1, 0.1):
        clock.advance(passed_s)
        wanted.append(use.wanted)
    assert wanted == [True, True, False]
    assert use.idle_s == pytest.approx(TIMEOUT_S)


def test_each_use_begins_the_timeout_anew() -> None:
    clock = FakeClock()
    use = used(clock)
    for _ in range(5):
        clock.advance(TIMEOUT_S - 1)
        assert use.wanted
        use.touch()


def test_a_timeout_of_0_never_ends() -> None:
    clock = FakeClock()
    use = used(clock, timeout_s=0)
    clock.advance(1000 * HOUR_S)
    assert use.wanted


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_a_step_of_the_wall_clock_changes_nothing(step_s: float) -> None:
    clock = FakeClock()
    use = used(clock)
    clock.advance(TIMEOUT_S / 2)
    clock.step_wall_clock(step_s)
    idle_s = [use.idle_s]
    clock.advance(TIMEOUT_S / 2)
    idle_s.append(use.idle_s)
    assert idle_s == pytest.approx([TIMEOUT_S / 2, TIMEOUT_S])
    assert not use.wanted


def test_the_next_worker_takes_over_the_time_already_idle() -> None:
    clock, saved = FakeClock(), SavedState()
    used(clock, saved)
    clock.advance(200)
    later = VlmUse(saved, clock, TIMEOUT_S)
    assert later.idle_s == pytest.approx(200)
    clock.advance(100)
    assert not later.wanted


def test_a_last_use_in_the_future_counts_as_now() -> None:
    clock, saved = FakeClock(), SavedState()
    used(clock, saved)
    clock.step_wall_clock(-HOUR_S)
    assert VlmUse(saved, clock, TIMEOUT_S).idle_s == 0.0


def test_forgetting_is_saved_too() -> None:
    saved = SavedState()
    use = used(FakeClock(), saved)
    assert saved.vlm_last_used_unix_s is not None
    use.forget()
    assert not use.known
    assert not use.wanted
    assert saved == SavedState()


@pytest.mark.parametrize(
    ("mode", "known"),
    [(ExecutionMode.IDLE, True), (ExecutionMode.RECORDING, True), (ExecutionMode.AUTOPILOT, False)],
)
def test_what_somebody_else_loaded_is_taken_in_but_in_autopilot(mode: ExecutionMode, known: bool) -> None:
    use = VlmUse(SavedState(mode=mode), FakeClock(), TIMEOUT_S)
    use.adopt()
    assert use.known is known


def test_taking_in_what_is_in_use_changes_nothing() -> None:
    clock = FakeClock()
    use = used(clock)
    clock.advance(100)
    use.adopt()
    assert use.idle_s == pytest.approx(100)
