"""What must hold of every run, one function each, as checks of its records.

Each gives the violations that it finds. What cannot be seen for certain is not reported: a message is lost if one
that was sent later was begun while its own caller still waited in vain, and not because nothing has come yet.
"""

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tests.faults.history import REDIS, UNTYPED, Noticed, Record, Refused, Stepped
from tests.faults.spans import NEVER, History, Span, Story

MS = 1_000_000
# Two clocks are read, and a process may have to wait for its turn between looking and noting.
DEADLINE_TOLERANCE_NS = 300 * MS
# A call to the worker to cancel is under way.
CANCEL_TOLERANCE_NS = 300 * MS
# How long a worker that has not heard of a cancel asks Redis for it; where that is away, it begins, and asks again.
ASKING_NS = 2_000 * MS
MAX_STARTS = 3
# Deaths of workers that a job has no part in allow it more.
HARD_MAX_STARTS = 10
# How many jobs go before one that is held back, with those that come back to the front of the queue meanwhile.
HELD_BEHIND_MAX = 150

# How long a client may send by a clock that has been set back meanwhile.
NOTICING_NS = 10_000 * MS
# How long a caller may wait in vain for a job that was taken away.
TAKEN_AWAY_NS = 20_000 * MS
# How long an overtaken worker that goes on may take to break off what it had begun.
BREAKING_OFF_NS = 30_000 * MS

# What Redis says to those with a wrong password, in the client's words.
REFUSED = "InvalidConfiguration"
# What a caller gives up by itself: the job may still end.
GIVEN_UP = frozenset({"DeadlinePassed", "JobCancelled", "NoWorker", "RedisUnavailable", "TimeoutError", REFUSED})
# Errors that say themselves that the worker, or the client, has a defect.
DEFECTS = frozenset({"WorkerFailure", "NotInWorker", "InvalidRequest", "InvalidConfiguration"})


@dataclass(frozen=True)
class Violation:
    """Something that must not be; `at_ns` is when it went wrong, as far as that can be told."""

    kind: str
    text: str
    at_ns: int = 0


Check = Callable[[History], Iterator[Violation]]


def overlapped(history: History) -> Iterator[Violation]:
    """No two operations overlap in time.

    No lock reaches a paused process on another host: what such a one had begun may still be open when its successor
    begins.
    """
    running: list[Span] = []
    for span in history.spans:
        running = [other for other in running if other.ended_ns > span.begun_ns]
        for other in running:
            if not _was_superseded_in_a_pause(history, other, span):
                yield Violation("overlapped", f"{_named(span)} began during {_named(other)}", span.begun_ns)
        running.append(span)


def went_on(history: History) -> Iterator[Violation]:
    """A worker that was overtaken in a pause breaks off what it had begun once it goes on."""
    for span in history.spans:
        if not span.whole:
            continue
        resumed_ns = history.resumed_ns(span.begin.pid, span.begun_ns, span.ended_ns)
        overtaken = any(span.begin.token < other.begin.token for other in history.spans_between(span))
        if overtaken and span.ended_ns - resumed_ns > BREAKING_OFF_NS:
            yield Violation("went on", f"{_named(span)} went on after it was overtaken", span.ended_ns)


def lost(history: History) -> Iterator[Violation]:
    """Every accepted job ends: for its caller, and on the GPU unless its caller gave it up first."""
    for story in history.stories.values():
        if not story.outcomes:
            yield Violation("lost", f"{story.name}: its caller was never told anything", _last_seen_ns(story))
        elif any(outcome.error == "JobLost" for outcome in story.outcomes):
            yield from _told_that_it_is_lost(history, story)
        elif all(outcome.error in GIVEN_UP for outcome in story.outcomes) and not story.published:
            yield from _given_up(history, story)


def doubled(history: History) -> Iterator[Violation]:
    """A job has one outcome, whoever looks and whenever, and is not done again after it."""
    for story in history.stories.values():
        yield from _several_outcomes(story)
        ended_ns = _ended_ns(story)
        for span in story.spans:
            if span.begun_ns > ended_ns:
                yield Violation("doubled", f"{story.name} was begun again after it had ended", span.begun_ns)


def late(history: History) -> Iterator[Violation]:
    """Nothing begins after its deadline, or after it was called off."""
    for story in history.stories.values():
        for span in story.spans:
            late_ns = span.begun_ns - story.accepted.deadline_ns
            unwanted_ns = span.begun_ns - story.cancelled_ns
            if history.was_paused(span.begin.pid, span.begun_ns - max(late_ns, unwanted_ns, 0), span.begun_ns):
                continue  # it looked at its clock, and was stopped before it could note anything
            if late_ns > DEADLINE_TOLERANCE_NS and not _clock_went_back(history, story, span):
                yield Violation("late", f"{story.name} was begun {late_ns // MS} ms too late", span.begun_ns)
            elif unwanted_ns > CANCEL_TOLERANCE_NS and not _could_not_tell(history, story, span):
                yield Violation("unwanted", f"{story.name}: {unwanted_ns // MS} ms after its cancel", span.begun_ns)


def disordered(history: History) -> Iterator[Violation]:
    """The jobs of one client begin in the order in which it sent them, also those that are begun once more.

    One that may be what its workers die of is tried the last time behind others.
    """
    begun = [
        (span.begun_ns, story)
        for story in history.stories.values()
        for span in story.spans
        if span.begun_ns <= _ended_ns(story)
    ]
    newest: dict[str, Story] = {}
    for begun_ns, story in sorted(begun, key=lambda row: row[0]):
        before = newest.setdefault(story.accepted.client, story)
        if before.accepted.number > story.accepted.number:
            if story.held_back_ns < begun_ns:
                continue
            yield Violation("disordered", f"{story.name} began after {before.name}", begun_ns)
        else:
            newest[story.accepted.client] = story


def stepped_back(history: History) -> Iterator[Violation]:
    """Tokens only grow: whoever has an older one begins nothing any more."""
    newest = 0
    for span in history.spans:
        token = span.begin.token
        if token and token < newest:
            yield Violation("stepped back", f"{_named(span)} began after token {newest} had begun", span.begun_ns)
        newest = max(newest, token)


def published_when_stale(history: History) -> Iterator[Violation]:
    """Nobody's result is taken once somebody with a newer token has begun."""
    begun_ns = [span.begun_ns for span in history.spans]
    newest = list(accumulate((span.begin.token for span in history.spans), max, initial=0))
    for story in history.stories.values():
        for published in story.published:
            token = newest[bisect.bisect_left(begun_ns, published.at_ns)]
            if 0 < published.token < token:
                text = f"{story.name}: token {published.token} published after token {token} had begun"
                yield Violation("stale", text, published.at_ns)


def worn_out(history: History) -> Iterator[Violation]:
    """A job that ends its worker is begun three times, ten if others end too, and only such a one is put aside."""
    for story in history.stories.values():
        open_ended = [span for span in story.spans if not span.whole]
        if len(open_ended) > HARD_MAX_STARTS:
            text = f"{story.name} was begun {len(open_ended)} times without an end"
            yield Violation("begun too often", text, open_ended[-1].begun_ns)
        # A process that is killed may have counted what it had no time to note: one of the three can be missing. And it
        # may have been killed after an operation's end, with the result still in hand.
        for outcome in story.outcomes:
            if outcome.error == "DeadLettered" and len(story.spans) < MAX_STARTS - 1:
                text = f"{story.name} was put aside after {len(story.spans)} beginnings"
                yield Violation("put aside too early", text, outcome.at_ns)


def defective(history: History) -> Iterator[Violation]:
    """What a caller is told is no confession of a defect, and what the driver watches is as it should be."""
    for story in history.stories.values():
        for outcome in story.outcomes:
            if outcome.error == REFUSED and history.was_locked_out(outcome.at_ns):
                continue
            if outcome.error in DEFECTS or outcome.error.startswith(UNTYPED):
                yield Violation("defect", f"{story.name} ended with {outcome.error}", outcome.at_ns)
    for refused in history.of(Refused):
        wrongly = refused.error == REFUSED and not history.was_locked_out(refused.at_ns)
        if wrongly or refused.error.startswith(UNTYPED):
            text = f"{refused.client}'s number {refused.number} could not be sent: {refused.error}"
            yield Violation("defect", text, refused.at_ns)
    for noticed in history.of(Noticed):
        yield Violation(noticed.kind, noticed.text, noticed.at_ns)


ALL: tuple[Check, ...] = (
    overlapped,
    went_on,
    lost,
    doubled,
    late,
    disordered,
    stepped_back,
    published_when_stale,
    worn_out,
    defective,
)


def check(records: Sequence[Record]) -> list[Violation]:
    """Give everything that is wrong with a run."""
    history = History(records)
    return [violation for one in ALL for violation in one(history)]


def _named(span: Span) -> str:
    begin = span.begin
    ended = "" if span.whole else ", without an end"
    return f"{begin.kind} {begin.job[:8]} (token {begin.token}, {begin.host}:{begin.pid}{ended})"


def _was_superseded_in_a_pause(history: History, older: Span, newer: Span) -> bool:
    return (
        older.begin.host != newer.begin.host
        and 0 < older.begin.token < newer.begin.token
        and history.was_paused(older.begin.pid, older.begun_ns, newer.begun_ns)
    )


def _told_that_it_is_lost(history: History, story: Story) -> Iterator[Violation]:
    """It must have been taken away, and not be done."""
    told_ns = max(outcome.at_ns for outcome in story.outcomes)
    taken = history.taken_away(story.accepted.sent_ns, told_ns)
    if taken is None:
        yield Violation("lost", f"{story.name}: its caller was told that it is lost", _last_seen_ns(story))
    elif any(not taken.everything or published.at_ns > taken.until_ns for published in story.published):
        yield Violation("lost", f"{story.name}: its caller was told that it is lost, and it was done", told_ns)


def _given_up(history: History, story: Story) -> Iterator[Violation]:
    """Its caller was told so while it waited, if it was taken away; else it was its turn when it was given up."""
    waited_until_ns = _waited_until_ns(story)
    taken = history.taken_away(story.accepted.sent_ns, waited_until_ns)
    if taken is not None and (taken.everything or not story.spans):
        if waited_until_ns - taken.until_ns > TAKEN_AWAY_NS and _last_seen_ns(story) <= taken.until_ns:
            yield Violation("lost", f"{story.name} was taken away, and its caller was not told", taken.at_ns)
    elif not history.began_anew_after_a_step(story.accepted.sent_ns, waited_until_ns):
        yield from _overtaken(history, story)


def _clock_went_back(history: History, story: Story, span: Span) -> bool:
    """Whether the job may have its whole time-out again, unless its caller waits for it, and calls it off."""
    from_ns = story.accepted.sent_ns - NOTICING_NS
    return any(step.by_s < 0 and from_ns <= step.at_ns <= span.begun_ns for step in history.of(Stepped))


def _could_not_tell(history: History, story: Story, span: Span) -> bool:
    """Whether Redis could not tell the worker of a cancel."""
    asked_ns = span.begun_ns - ASKING_NS
    return (
        history.was_paused(REDIS, asked_ns, span.begun_ns)
        or history.taken_away(story.cancelled_ns, span.begun_ns, everything=True) is not None
    )


def _waited_until_ns(story: Story) -> int:
    return min(story.accepted.deadline_ns, story.cancelled_ns, *(one.at_ns for one in story.outcomes))


def _overtaken(history: History, story: Story) -> Iterator[Violation]:
    """Say so if a job that was sent later began after all that was done for this one, and before it was given up.

    One that was held back lets as many others go first as it was put behind.
    """
    seen_ns = _last_seen_ns(story)
    waited_until_ns = _waited_until_ns(story)
    if story.held_back_ns < waited_until_ns:
        first = history.begun_between(story.held_back_ns, waited_until_ns - DEADLINE_TOLERANCE_NS)
        if seen_ns < story.held_back_ns and len(first) > HELD_BEHIND_MAX:
            yield Violation("lost", f"{story.name} was held back, and {len(first)} jobs went first", seen_ns)
        return
    for _, begun_ns, other in history.sent_after(story.accepted.at_ns):
        if seen_ns < begun_ns < waited_until_ns - DEADLINE_TOLERANCE_NS:
            so_far = f"begun {len(story.spans)} times, and without a result," if story.spans else "not begun"
            yield Violation("lost", f"{story.name} was {so_far} when {other.name}, sent later, began", seen_ns)
            return


def _last_seen_ns(story: Story) -> int:
    if not story.spans:
        return story.accepted.at_ns
    last = story.spans[-1]
    return last.begun_ns if last.ended_ns == NEVER else last.ended_ns


def _ended_ns(story: Story) -> int:
    """When it had a result, or an error that is one, for the first time."""
    told = [outcome.at_ns for outcome in story.outcomes if outcome.error not in GIVEN_UP]
    return min([*told, *(published.at_ns for published in story.published)], default=NEVER)


def _several_outcomes(story: Story) -> Iterator[Violation]:
    told = {(outcome.error, outcome.digest) for outcome in story.outcomes}
    if len(told) > 1 or len(story.outcomes) > 1:
        yield Violation("doubled", f"{story.name}: its caller was told {sorted(told)}", story.outcomes[-1].at_ns)
    kept = {(published.state, published.digest) for published in story.published}
    if len(kept) > 1:
        text = f"{story.name}: {len(kept)} different results were published"
        yield Violation("doubled", text, story.published[-1].at_ns)
    results = {outcome.digest for outcome in story.outcomes if not outcome.error}
    other = {final.digest for final in story.finals} - results
    if results and other:
        yield Violation("doubled", f"{story.name}: its result is another one now", story.outcomes[-1].at_ns)
