"""The checker itself: a good history passes, and of each bad one it says what is wrong with it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.checker import MS, Violation, check
from tests.faults.history import (
    REDIS,
    Accepted,
    Begin,
    Cancelled,
    Died,
    End,
    Final,
    HeldBack,
    Journal,
    LockedOut,
    Noticed,
    Outcome,
    Paused,
    Published,
    Ready,
    Record,
    Refused,
    Resumed,
    Stepped,
    TakenAway,
    read,
)

SECOND = 1000 * MS
# The worker that dies during job 3, and the one after it.
FIRST, SECOND_PID = 100, 200


def accepted(number: int, at_ms: int, *, client: str = "ann", limit_s: float = 60) -> Accepted:
    at_ns = at_ms * MS
    deadline_ns = at_ns + int(limit_s * SECOND)
    return Accepted(at_ns, at_ns - MS, client, number, f"{client}-{number}", "ping", deadline_ns)


def begin(job: str, at_ms: int, token: int = 1, pid: int = FIRST, host: str = "a") -> Begin:
    return Begin(at_ms * MS, job, "ping", token, host, pid)


def done(job: str, at_ms: int, token: int = 1, pid: int = FIRST, client: str = "ann") -> list[Record]:
    """An operation of 10 ms with all that follows from it."""
    return [
        begin(job, at_ms, token, pid),
        End((at_ms + 10) * MS, job, pid),
        Published((at_ms + 11) * MS, job, token, "a", pid, "SUCCESS", f"d-{job}"),
        Outcome((at_ms + 12) * MS, client, job, "", f"d-{job}"),
        Final(job, "SUCCESS", f"d-{job}"),
    ]


def good() -> list[Record]:
    """Three jobs, one of which is begun again since its worker was killed; one that is cancelled, one too late."""
    return [
        accepted(1, 100),
        accepted(2, 105),
        accepted(3, 110),
        *done("ann-1", 110),
        *done("ann-2", 130),
        begin("ann-3", 150),
        Died(160 * MS, FIRST, -9),
        *done("ann-3", 2000, 2, SECOND_PID),
        accepted(4, 2100),
        Cancelled(2101 * MS, "ann-4"),
        Outcome(2200 * MS, "ann", "ann-4", "JobCancelled"),
        accepted(5, 2300, limit_s=0.1),
        Outcome(2400 * MS, "ann", "ann-5", "DeadlinePassed"),
        accepted(6, 2500),
        *done("ann-6", 2510, 2, SECOND_PID),
    ]


def kinds(violations: list[Violation]) -> set[str]:
    return {violation.kind for violation in violations}


def without(records: list[Record], kind: type[Record], job: str) -> list[Record]:
    return [record for record in records if not (isinstance(record, kind) and getattr(record, "job", "") == job)]


def overlapping() -> list[Record]:
    return [*good(), accepted(7, 2501), *done("ann-7", 2515, 2, SECOND_PID)]


def overlapping_one_that_never_ended() -> list[Record]:
    return [*good(), begin("tick", 2495, 2, SECOND_PID)]


def overlapping_on_another_host() -> list[Record]:
    return [*without(good(), Published, "ann-6"), accepted(7, 2501), *_on_host_b("ann-7", 2515)]


def never_told() -> list[Record]:
    return without(good(), Outcome, "ann-6")


def told_that_it_is_lost() -> list[Record]:
    return [*good(), accepted(7, 2600), Outcome(2700 * MS, "ann", "ann-7", "JobLost"), *later()]


def never_begun() -> list[Record]:
    """Its caller waits for all of its time, and gives it up."""
    return [*good(), accepted(7, 2600), Outcome(62_600 * MS, "ann", "ann-7", "DeadlinePassed"), *later()]


def never_begun_again() -> list[Record]:
    worker_dies: list[Record] = [begin("ann-7", 2610, 2, SECOND_PID), Died(2620 * MS, SECOND_PID, -9)]
    after = [accepted(8, 2700), *done("ann-8", 2710, 3, 300)]
    return [
        *good(),
        accepted(7, 2600),
        *worker_dies,
        *after,
        Outcome(62_600 * MS, "ann", "ann-7", "DeadlinePassed"),
    ]


def later() -> list[Record]:
    return [accepted(8, 2700), *done("ann-8", 2710, 2, SECOND_PID)]


def told_twice() -> list[Record]:
    return [*good(), Outcome(2600 * MS, "ann", "ann-6", "EncoderFailure")]


def published_twice() -> list[Record]:
    return [*good(), Published(2600 * MS, "ann-6", 2, "a", SECOND_PID, "FAILURE", "EncoderFailure")]


def another_result_in_the_end() -> list[Record]:
    return [*without(good(), Final, "ann-6"), Final("ann-6", "SUCCESS", "another")]


def done_again() -> list[Record]:
    return [*good(), begin("ann-6", 2600, 2, SECOND_PID), End(2610 * MS, "ann-6", SECOND_PID)]


def begun_after_its_deadline() -> list[Record]:
    gave_up = Outcome(2650 * MS, "ann", "ann-7", "DeadlinePassed")
    return [*good(), accepted(7, 2600, limit_s=0.05), gave_up, *begun_for_nothing("ann-7", 3000)]


def begun_after_its_cancel() -> list[Record]:
    gave_up: list[Record] = [Cancelled(2601 * MS, "ann-7"), Outcome(2650 * MS, "ann", "ann-7", "JobCancelled")]
    return [*good(), accepted(7, 2600), *gave_up, *begun_for_nothing("ann-7", 3000)]


def begun_for_nothing(job: str, at_ms: int, token: int = 2, pid: int = SECOND_PID) -> list[Record]:
    return [begin(job, at_ms, token, pid), End((at_ms + 1) * MS, job, pid)]


def out_of_order() -> list[Record]:
    return [
        *good(),
        accepted(7, 2600),
        accepted(8, 2601),
        *done("ann-8", 2610, 2, SECOND_PID),
        *done("ann-7", 2630, 2, SECOND_PID),
    ]


def out_of_order_when_begun_again() -> list[Record]:
    return [
        *good(),
        accepted(7, 2600),
        begin("ann-7", 2610, 2, SECOND_PID),
        Died(2620 * MS, SECOND_PID, -9),
        accepted(8, 2630),
        *done("ann-8", 3000, 3, 300),
        *done("ann-7", 3100, 3, 300),
    ]


def an_older_token_begins() -> list[Record]:
    gave_up = Outcome(62_600 * MS, "ann", "ann-7", "DeadlinePassed")
    return [*good(), accepted(7, 2600), *begun_for_nothing("ann-7", 2610, 1, 300), gave_up]


def an_older_token_publishes() -> list[Record]:
    return [*good(), Published(2600 * MS, "ann-6", 1, "a", FIRST, "SUCCESS", "d-ann-6")]


def begun_too_often() -> list[Record]:
    tries = [record for pid in range(300, 311) for record in begun_in_vain("ann-7", pid)]
    return [*good(), accepted(7, 2600), *tries, Outcome(8000 * MS, "ann", "ann-7", "DeadLettered")]


def put_aside_too_early() -> list[Record]:
    tries = begun_in_vain("ann-7", 300)
    return [*good(), accepted(7, 2600), *tries, Outcome(8000 * MS, "ann", "ann-7", "DeadLettered")]


def begun_in_vain(job: str, pid: int) -> list[Record]:
    at_ms = pid * 10
    return [begin(job, at_ms, 2, pid), Died((at_ms + 5) * MS, pid, -9)]


def a_defect() -> list[Record]:
    failed: list[Record] = [begin("ann-7", 2610, 2, SECOND_PID), End(2611 * MS, "ann-7", SECOND_PID, "KeyError")]
    return [*good(), accepted(7, 2600), *failed, Outcome(2620 * MS, "ann", "ann-7", "WorkerFailure")]


def a_submit_that_raises_anything() -> list[Record]:
    return [*good(), Refused(2600 * MS, "ann", 7, "untyped AttributeError: no attribute")]


def seen_by_the_driver() -> list[Record]:
    return [*good(), Noticed(2600 * MS, "left over", "a process")]


def test_a_good_history_passes() -> None:
    assert check(good()) == []


@pytest.mark.parametrize(
    ("forge", "kind"),
    [
        (overlapping, "overlapped"),
        (overlapping_one_that_never_ended, "overlapped"),
        (overlapping_on_another_host, "overlapped"),
        (never_told, "lost"),
        (told_that_it_is_lost, "lost"),
        (never_begun, "lost"),
        (never_begun_again, "lost"),
        (told_twice, "doubled"),
        (published_twice, "doubled"),
        (another_result_in_the_end, "doubled"),
        (done_again, "doubled"),
        (begun_after_its_deadline, "late"),
        (begun_after_its_cancel, "unwanted"),
        (out_of_order, "disordered"),
        (out_of_order_when_begun_again, "disordered"),
        (an_older_token_begins, "stepped back"),
        (an_older_token_publishes, "stale"),
        (begun_too_often, "begun too often"),
        (put_aside_too_early, "put aside too early"),
        (a_defect, "defect"),
        (a_submit_that_raises_anything, "defect"),
        (seen_by_the_driver, "left over"),
    ],
)
def test_each_bad_history_is_found(forge: Callable[[], list[Record]], kind: str) -> None:
    assert kinds(check(forge())) == {kind}


def test_only_a_job_that_was_held_back_may_begin_behind_others() -> None:
    late = out_of_order_when_begun_again()
    assert kinds(check([*late, HeldBack(2700 * MS, "ann-7")])) == set()
    assert kinds(check([*late, HeldBack(3150 * MS, "ann-7")])) == {"disordered"}
    assert kinds(check([*late, HeldBack(2700 * MS, "ann-8")])) == {"disordered"}


@pytest.mark.parametrize(("others", "found"), [(100, set()), (200, {"lost"})])
def test_a_job_that_was_held_back_may_run_out_of_time_behind_so_many(others: int, found: set[str]) -> None:
    records = [*never_begun_again(), HeldBack(2650 * MS, "ann-7")]
    for number in range(9, 9 + others):
        at_ms = 2800 + 30 * number
        records += [accepted(number, at_ms), *done(f"ann-{number}", at_ms + 10, 3, 300)]
    assert kinds(check(records)) == found


def test_the_order_of_the_records_does_not_matter() -> None:
    for forge in (good, overlapping, never_begun_again, out_of_order):
        records = forge()
        assert kinds(check(records[::-1])) == kinds(check(records))


def test_what_a_paused_worker_of_another_host_left_open_is_no_overlap() -> None:
    pause: list[Record] = [Paused(2512 * MS, SECOND_PID), Resumed(30_000 * MS, SECOND_PID)]
    taken_over = [accepted(7, 2505), *_on_host_b("ann-7", 18_000)]
    records = without([*good(), *pause, *taken_over], End, "ann-6")
    records = [*records, End(30_010 * MS, "ann-6", SECOND_PID)]
    assert "overlapped" not in kinds(check(records))


def test_a_cancel_that_redis_could_not_tell_of_is_no_violation() -> None:
    away: list[Record] = [Paused(2400 * MS, REDIS), Resumed(2700 * MS, REDIS)]
    assert kinds(check(begun_after_its_cancel())) == {"unwanted"}
    assert kinds(check([*begun_after_its_cancel(), *away])) == set()


def taken_away(*, everything: bool) -> TakenAway:
    """While job 7 waits."""
    return TakenAway(2605 * MS, 2606 * MS, everything)


@pytest.mark.parametrize("everything", [True, False])
def test_who_is_told_that_a_job_is_lost_that_was_taken_away_is_told_the_truth(everything: bool) -> None:
    taken = taken_away(everything=everything)
    assert kinds(check([*told_that_it_is_lost(), taken])) == set()
    assert kinds(check([*told_that_it_is_lost(), replace(taken, at_ns=0, until_ns=1)])) == {"lost"}
    published = Published(2650 * MS, "ann-7", 2, "a", SECOND_PID, "SUCCESS", "d-ann-7")
    assert kinds(check([*told_that_it_is_lost(), taken, published])) >= {"lost"}


def test_a_job_that_is_done_after_its_caller_was_told_that_it_is_lost_is_doubled() -> None:
    records = [*told_that_it_is_lost(), taken_away(everything=True), *begun_for_nothing("ann-7", 3000)]
    assert kinds(check(records)) == {"doubled"}


@pytest.mark.parametrize(("waited_ms", "found"), [(5_000, set()), (60_000, {"lost"})])
def test_whose_job_was_taken_away_is_told_before_long(waited_ms: int, found: set[str]) -> None:
    gave_up = Outcome((2600 + waited_ms) * MS, "ann", "ann-7", "DeadlinePassed")
    waiting = accepted(7, 2600, limit_s=waited_ms / 1000)
    assert kinds(check([*good(), waiting, gave_up, taken_away(everything=False), *later()])) == found


def test_what_redis_refuses_with_another_password_is_no_defect() -> None:
    refused: list[Record] = [
        Refused(2600 * MS, "ann", 8, "InvalidConfiguration"),
        accepted(7, 2590, limit_s=0.01),
        Outcome(2602 * MS, "ann", "ann-7", "InvalidConfiguration"),
    ]
    assert kinds(check([*good(), *refused])) == {"defect"}
    assert kinds(check([*good(), *refused, LockedOut(2595 * MS, 2610 * MS)])) == set()


def test_a_worker_that_starts_after_a_step_of_the_clock_takes_the_deadlines_as_they_are() -> None:
    ready = Ready(2700 * MS, 300, "a")
    step = Stepped(2650 * MS, 1200)
    assert kinds(check([*never_begun(), step])) == {"lost"}
    assert kinds(check([*never_begun(), ready])) == {"lost"}
    assert kinds(check([*never_begun(), step, ready])) == set()


@pytest.mark.parametrize(("by_s", "found"), [(-20, set()), (20, {"late"})])
def test_a_job_may_begin_late_after_the_clock_was_set_back(by_s: int, found: set[str]) -> None:
    assert kinds(check([*begun_after_its_deadline(), Stepped(2500 * MS, by_s)])) == found


def test_a_cancel_that_redis_lost_is_no_violation() -> None:
    lost = TakenAway(2700 * MS, 2710 * MS, True)
    assert kinds(check([*begun_after_its_cancel(), lost])) == set()


def test_a_worker_that_was_overtaken_in_a_pause_has_to_break_off() -> None:
    pause: list[Record] = [Paused(2512 * MS, SECOND_PID), Resumed(30_000 * MS, SECOND_PID)]
    taken_over = [accepted(7, 2505), *_on_host_b("ann-7", 18_000)]
    records = [*without([*good(), *pause, *taken_over], End, "ann-6")]
    for ended_ms, goes_on in ((59_000, False), (61_000, True)):
        found = kinds(check([*records, End(ended_ms * MS, "ann-6", SECOND_PID)]))
        assert ("went on" in found) is goes_on


def _on_host_b(job: str, at_ms: int) -> list[Record]:
    return [replace(record, host="b") if isinstance(record, Begin) else record for record in done(job, at_ms, 3, 300)]


def test_a_job_that_its_caller_gave_up_first_is_not_lost() -> None:
    gave_up: list[Record] = [accepted(7, 2600, limit_s=0.05), Outcome(2650 * MS, "ann", "ann-7", "DeadlinePassed")]
    assert check([*good(), *gave_up, *later()]) == []


def test_a_job_that_nothing_overtook_is_not_lost() -> None:
    gave_up: list[Record] = [accepted(7, 2600), Outcome(62_600 * MS, "ann", "ann-7", "DeadlinePassed")]
    assert check([*good(), *gave_up]) == []


def test_the_file_bears_processes_that_are_killed_while_they_write(tmp_path: Path) -> None:
    path = tmp_path / "history"
    journal = Journal(path)
    records = good()
    journal.note(records[0])
    with path.open("a") as other:
        other.write('{"what": "Be')
    for record in records[1:]:
        journal.note(record)
    journal.close()
    assert read(path) == records
