"""The clock that follows the shared one: it is set only where it is provably wrong, and steps are remembered."""

import time

import pytest

from singletrack_worker.gpu.clock import STEP_S, SystemClock, TimeReading


class Shared:
    """The clock of a server, which runs with the monotonic clock until it is set."""

    def __init__(self) -> None:
        self.off_s = 1_000_000.0
        # For how long an answer is under way.
        self.delay_s = 0.0
        self.away = False

    def now(self) -> float:
        return self.off_s + time.monotonic()

    def read(self) -> TimeReading | None:
        asked_s = time.monotonic()
        return None if self.away else TimeReading(self.off_s + asked_s, asked_s - self.delay_s, asked_s + self.delay_s)


def clock_of(shared: Shared) -> SystemClock:
    clock = SystemClock(shared.read)
    assert clock.refresh()
    return clock


def test_it_shows_what_the_shared_one_shows() -> None:
    shared = Shared()
    clock = clock_of(shared)
    assert clock.time() == pytest.approx(shared.now(), abs=0.5)
    assert clock.unix(clock.monotonic()) == pytest.approx(clock.time(), abs=0.5)


def test_that_this_machine_was_wrong_at_first_is_no_step() -> None:
    shared = Shared()
    assert clock_of(shared).set_forward_since(shared.now() - 100) == 0


@pytest.mark.parametrize("by_s", [3600.0, 10.0])
def test_a_step_forward_is_noticed_at_the_next_reading(by_s: float) -> None:
    shared = Shared()
    clock = clock_of(shared)
    sent_unix_s = clock.time() - 5
    shared.off_s += by_s
    clock.refresh()
    assert clock.time() == pytest.approx(shared.now(), abs=0.5)
    assert clock.set_forward_since(sent_unix_s) == pytest.approx(by_s)
    assert clock.set_forward_since(clock.time()) == 0


def test_steps_add_up() -> None:
    shared = Shared()
    clock = clock_of(shared)
    sent_unix_s = clock.time()
    for by_s in (10.0, -3.0, 20.0):
        shared.off_s += by_s
        clock.refresh()
    assert clock.set_forward_since(sent_unix_s) == pytest.approx(30)


def test_a_step_back_is_followed() -> None:
    shared = Shared()
    clock = clock_of(shared)
    shared.off_s -= 3600
    clock.refresh()
    assert clock.time() == pytest.approx(shared.now(), abs=0.5)


def test_an_answer_that_takes_long_sets_nothing() -> None:
    shared = Shared()
    clock = clock_of(shared)
    before = clock.unix(0)
    shared.delay_s = 10.0
    shared.off_s += 8.0
    clock.refresh()
    assert clock.unix(0) == before


def test_a_clock_that_drifts_is_no_step() -> None:
    shared = Shared()
    clock = clock_of(shared)
    sent_unix_s = clock.time()
    for _ in range(20):
        shared.off_s += STEP_S / 2
        clock.refresh()
    assert clock.set_forward_since(sent_unix_s) == 0
    assert clock.time() == pytest.approx(shared.now(), abs=0.5)


def test_a_server_that_is_away_is_told() -> None:
    shared = Shared()
    clock = clock_of(shared)
    shared.away = True
    assert not clock.refresh()
