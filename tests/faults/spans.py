"""A run's records, put in order: operations with their beginnings and ends, jobs with all that is known of them."""

import bisect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from tests.faults.history import (
    Accepted,
    Begin,
    Cancelled,
    Died,
    End,
    Final,
    HeldBack,
    LockedOut,
    Outcome,
    Paused,
    Published,
    Ready,
    Record,
    Resumed,
    Stepped,
    TakenAway,
)

T = TypeVar("T")

# How long a caller that was refused may take to say so.
TOLD_NS = 2_000_000_000
# When something ends that has not ended.
NEVER = 1 << 63


@dataclass(frozen=True)
class Span:
    """One operation; one without an end lasts until its process died, `whole` tells."""

    begin: Begin
    ended_ns: int
    whole: bool
    error: str = ""

    @property
    def begun_ns(self) -> int:
        """When it began."""
        return self.begin.at_ns


@dataclass
class Story:
    """All that is known of one job that a client was told is accepted."""

    accepted: Accepted
    spans: list[Span] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    finals: list[Final] = field(default_factory=list)
    cancelled_ns: int = NEVER
    held_back_ns: int = NEVER

    @property
    def name(self) -> str:
        """How a violation names it."""
        return f"{self.accepted.client}'s number {self.accepted.number} ({self.accepted.kind} {self.accepted.job[:8]})"


class History:
    """The records of a run, and what follows from them; records may come in any order."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records

    def of(self, kind: type[T]) -> list[T]:
        """All records of one kind, by time where they have one."""
        found = [record for record in self.records if isinstance(record, kind)]
        return sorted(found, key=lambda record: getattr(record, "at_ns", 0))

    @cached_property
    def spans(self) -> list[Span]:
        """All operations, by their beginnings."""
        ends: dict[tuple[str, int], list[End]] = defaultdict(list)
        for end in self.of(End):
            ends[end.job, end.pid].append(end)
        spans = []
        for begin in self.of(Begin):
            waiting = ends[begin.job, begin.pid]
            if waiting and waiting[0].at_ns >= begin.at_ns and not self._died_between(begin, waiting[0]):
                end = waiting.pop(0)
                spans.append(Span(begin, end.at_ns, True, end.error))
            else:
                spans.append(Span(begin, self.death_ns(begin.pid, begin.at_ns), False))
        return spans

    def spans_between(self, span: Span) -> list[Span]:
        """The operations that began during another one."""
        first = bisect.bisect_right(self.spans, span.begun_ns, key=lambda other: other.begun_ns)
        last = bisect.bisect_left(self.spans, span.ended_ns, key=lambda other: other.begun_ns)
        return self.spans[first:last]

    def begun_between(self, from_ns: int, until_ns: int) -> set[str]:
        """The jobs that began between two times."""
        return {span.begin.job for span in self.spans if from_ns < span.begun_ns < until_ns}

    @cached_property
    def stories(self) -> dict[str, Story]:
        """The accepted jobs, by their ids."""
        stories = {accepted.job: Story(accepted) for accepted in self.of(Accepted)}
        strangers = Story(Accepted(0, 0, "", 0, "", "", 0))
        for span in self.spans:
            stories.get(span.begin.job, strangers).spans.append(span)
        for published in self.of(Published):
            stories.get(published.job, strangers).published.append(published)
        for outcome in self.of(Outcome):
            stories.get(outcome.job, strangers).outcomes.append(outcome)
        for final in self.of(Final):
            stories.get(final.job, strangers).finals.append(final)
        for cancelled in self.of(Cancelled):
            stories.get(cancelled.job, strangers).cancelled_ns = cancelled.at_ns
        for held in reversed(self.of(HeldBack)):
            stories.get(held.job, strangers).held_back_ns = held.at_ns
        return stories

    @cached_property
    def overtakers(self) -> list[tuple[int, int, Story]]:
        """The jobs that began: when they were sent first, when they began first; by when they were sent."""
        found = [
            (story.accepted.sent_ns, story.spans[0].begun_ns, story) for story in self.stories.values() if story.spans
        ]
        return sorted(found, key=lambda row: row[:2])

    def sent_after(self, at_ns: int) -> list[tuple[int, int, Story]]:
        """Those of `overtakers` that nobody had tried to send before that time."""
        return self.overtakers[bisect.bisect_right(self.overtakers, at_ns, key=lambda row: row[0]) :]

    def taken_away(self, from_ns: int, until_ns: int, *, everything: bool = False) -> TakenAway | None:
        """The last time that messages, or everything, were taken away between the two, at least in part."""
        found = [
            taken
            for taken in self.of(TakenAway)
            if taken.at_ns <= until_ns and taken.until_ns >= from_ns and (taken.everything or not everything)
        ]
        return found[-1] if found else None

    def was_locked_out(self, at_ns: int) -> bool:
        """Whether Redis refused everybody then, or a moment before."""
        return any(lockout.at_ns <= at_ns <= lockout.until_ns + TOLD_NS for lockout in self.of(LockedOut))

    def began_anew_after_a_step(self, from_ns: int, until_ns: int) -> bool:
        """Whether between the two the clock of Redis was set, and a worker started that knows nothing of it."""
        steps = [step.at_ns for step in self.of(Stepped) if from_ns <= step.at_ns <= until_ns]
        return bool(steps) and any(steps[0] <= ready.at_ns <= until_ns for ready in self.of(Ready))

    def resumed_ns(self, pid: int, from_ns: int, until_ns: int) -> int:
        """When a pause of the process ended that lay between the two, at least in part; 0 if there was none."""
        return max((end for start, end in self._pauses[pid] if start < until_ns and end > from_ns), default=0)

    def death_ns(self, pid: int, after_ns: int) -> int:
        """When the process that had this id at that time died."""
        return next((at_ns for at_ns in self._deaths[pid] if at_ns >= after_ns), NEVER)

    def was_paused(self, pid: int, from_ns: int, until_ns: int) -> bool:
        """Whether the process was stopped at any time between the two."""
        return any(start < until_ns and end > from_ns for start, end in self._pauses[pid])

    @cached_property
    def _deaths(self) -> dict[int, list[int]]:
        deaths: dict[int, list[int]] = defaultdict(list)
        for died in self.of(Died):
            deaths[died.pid].append(died.at_ns)
        return deaths

    @cached_property
    def _pauses(self) -> dict[int, list[tuple[int, int]]]:
        pauses: dict[int, list[tuple[int, int]]] = defaultdict(list)
        resumed = self.of(Resumed)
        for paused in self.of(Paused):
            ends = [other.at_ns for other in resumed if other.pid == paused.pid and other.at_ns >= paused.at_ns]
            pauses[paused.pid].append((paused.at_ns, ends[0] if ends else NEVER))
        return pauses

    def _died_between(self, begin: Begin, end: End) -> bool:
        return self.death_ns(begin.pid, begin.at_ns) < end.at_ns
