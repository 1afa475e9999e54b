"""Announced needs of the VLM: when they are due, how they end, what they saved."""

import pytest

from singletrack_tasks.status import IntentEnd
from singletrack_worker.gpu.known.intents import KEPT_S, MAX_INTENTS, Intents
from tests.fakes import FakeClock

LEAD_S = 20.0


class Ends(list[tuple[IntentEnd, float]]):
    def __call__(self, how: IntentEnd, saved_s: float) -> None:
        self.append((how, saved_s))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def intents(clock: FakeClock, ends: Ends) -> Intents:
    return Intents(clock, lambda: LEAD_S, ends)


def test_a_need_is_due_just_in_time(intents: Intents, clock: FakeClock) -> None:
    assert intents.note("a", 200, 60)
    seen = []
    for _ in range(30):
        seen.append((intents.expected, intents.due))
        clock.advance(10)
    # A minute and the lead before it is needed it is kept, the lead before it is loaded, both until its end.
    assert seen.index((True, False)) == (200 - LEAD_S - KEPT_S) / 10
    assert seen.index((True, True)) == (200 - LEAD_S) / 10
    assert [expected for expected, _ in seen].count(True) == (KEPT_S + LEAD_S + 60) / 10
    assert seen[26:] == [(False, False)] * 4


def test_without_a_measured_load_it_is_due_at_once(clock: FakeClock, ends: Ends) -> None:
    intents = Intents(clock, lambda: None, ends)
    assert not intents.due
    intents.note("a", 300, 60)
    assert intents.due


def test_each_holder_has_one_and_a_track_only_some(intents: Intents) -> None:
    assert all(intents.note(f"holder-{number}", 10, 10) for number in range(MAX_INTENTS))
    assert not intents.note("one too many", 10, 10)
    assert intents.note("holder-3", 20, 10)
    assert len(intents) == MAX_INTENTS


def test_a_need_whose_time_has_passed_is_not_noted(intents: Intents) -> None:
    assert not intents.note("a", -30, 30)
    assert intents.note("a", -30, 31)
    assert len(intents) == 1


def test_a_load_ahead_that_was_used_saved_its_time(intents: Intents, clock: FakeClock, ends: Ends) -> None:
    intents.note("a", 20, 60)
    intents.loaded(8.0)
    clock.advance(15)
    intents.used(loaded_now=False, waited_s=0.1)
    assert ends == [("served", 8.0)]
    assert (intents.status.waiting, intents.status.ended, intents.status.saved_s) == (0, {"served": 1}, 8.0)


def test_what_was_waited_for_was_not_saved(intents: Intents, clock: FakeClock, ends: Ends) -> None:
    intents.note("a", 20, 60)
    intents.loaded(8.0)
    clock.advance(1)
    # Sent 5 s before its turn, 4 of them amid the load.
    intents.used(loaded_now=False, waited_s=5.0)
    assert ends == [("served", 4.0)]
    intents.note("a", 20, 60)
    intents.loaded(8.0)
    intents.used(loaded_now=False, waited_s=float("inf"))
    assert ends[1:] == [("served", 0.0)]


def test_the_other_ends(intents: Intents, clock: FakeClock, ends: Ends) -> None:
    intents.note("a", 20, 60)
    intents.used(loaded_now=True, waited_s=0)
    intents.note("a", 20, 60)
    intents.used(loaded_now=False, waited_s=0)
    intents.note("a", 20, 60)
    intents.spared(7.0)
    intents.used(loaded_now=False, waited_s=0)
    for _ in range(2):
        intents.note("a", 20, 60)
        intents.spared(7.0)
        clock.advance(80)
        intents.expire()
    intents.note("a", 20, 60)
    clock.advance(80)
    intents.expire()
    intents.note("a", 20, 60)
    assert intents.withdraw("a")
    assert not intents.withdraw("a")
    intents.note("a", 20, 60)
    intents.drop()
    intents.drop()
    assert [how for how, _ in ends] == [
        "missed", "needless", "kept", "vain", "vain", "expired", "withdrawn", "dropped"
    ]  # fmt: skip
    assert intents.status.ended["vain"] == 2
    assert intents.status.saved_s == 7.0


def test_one_use_meets_all_needs_of_about_now_and_saves_once(intents: Intents, ends: Ends) -> None:
    intents.note("a", 20, 60)
    intents.note("b", 30, 60)
    intents.note("c", 500, 60)
    intents.loaded(8.0)
    intents.used(loaded_now=False, waited_s=0)
    assert ends == [("served", 8.0), ("served", 0.0)]
    assert len(intents) == 1
    assert intents.status.saved_s == 8.0


def test_the_end_of_one_leaves_what_was_done_for_another(intents: Intents, ends: Ends) -> None:
    intents.note("a", 20, 60)
    intents.note("b", 20, 60)
    intents.loaded(8.0)
    intents.withdraw("a")
    intents.used(loaded_now=False, waited_s=0)
    assert ends == [("withdrawn", 0.0), ("served", 8.0)]


def test_a_use_without_a_need_ends_nothing(intents: Intents, ends: Ends) -> None:
    intents.used(loaded_now=True, waited_s=0)
    intents.note("a", 500, 60)
    intents.used(loaded_now=False, waited_s=0)
    assert ends == []


def test_the_status_tells_when(intents: Intents, clock: FakeClock) -> None:
    assert intents.status.needed_unix_s is None
    intents.note("a", 20, 60)
    intents.note("b", 10, 30)
    status = intents.status
    assert status.needed_unix_s == pytest.approx(clock.time() + 10)
    assert status.until_unix_s == pytest.approx(clock.time() + 80)
