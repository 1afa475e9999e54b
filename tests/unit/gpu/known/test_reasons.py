"""Reasons appear once, keep the time since which they hold, and end."""

from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_worker.gpu.known.reasons import Reasons
from tests.fakes import FakeClock

AWAY, NO_GPU = DegradedCode.OLLAMA_UNREACHABLE, DegradedCode.NO_GPU


class Told:
    """Reasons with what was told of their changes."""

    def __init__(self) -> None:
        self.clock = FakeClock(unix_s=1000.0)
        self.changes: list[tuple[DegradedCode, bool]] = []
        self.reasons = Reasons(self.clock.time, self._tell)

    def _tell(self, reason: Degradation, holds: bool) -> None:
        self.changes.append((reason.code, holds))


def test_a_reason_is_told_when_it_appears_and_when_it_ends() -> None:
    told = Told()
    told.reasons.add(AWAY, "no answer")
    told.reasons.add(NO_GPU, "no driver")
    told.reasons.clear(AWAY)
    assert told.changes == [(AWAY, True), (NO_GPU, True), (AWAY, False)]
    assert [reason.code for reason in told.reasons.current()] == [NO_GPU]


def test_a_reason_that_holds_keeps_its_time_and_takes_the_new_text() -> None:
    told = Told()
    told.reasons.add(AWAY, "no answer")
    told.clock.advance(60)
    told.reasons.add(AWAY, "connection refused")
    assert told.reasons.current() == (Degradation(code=AWAY, message="connection refused", since_unix_s=1000.0),)
    assert told.changes == [(AWAY, True)]


def test_a_reason_that_comes_back_begins_anew() -> None:
    told = Told()
    told.reasons.add(AWAY, "no answer")
    told.reasons.clear(AWAY)
    told.clock.advance(60)
    told.reasons.add(AWAY, "no answer")
    assert told.reasons.current()[0].since_unix_s == 1060.0


def test_ending_what_does_not_hold_is_nothing() -> None:
    told = Told()
    told.reasons.clear(AWAY, NO_GPU)
    assert told.changes == []


def test_what_was_read_does_not_change_afterwards() -> None:
    told = Told()
    told.reasons.add(AWAY, "no answer")
    read = told.reasons.current()
    told.reasons.clear(AWAY)
    assert len(read) == 1
