"""One operation at a time, none that nobody waits for, and a running one that can be broken off."""

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from singletrack_tasks.errors import DeadlinePassed, JobCancelled
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.requests.vlm import Ask
from singletrack_worker.gpu.clock import Clock, SystemClock
from singletrack_worker.gpu.hold import Overtaken
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.gpu.turns import Turns
from singletrack_worker.settings import GPUResourceConfig
from tests.fakes import FakeClock, FakeHold, MemoryCancellations, MemoryStores
from tests.integration.ops.waiting import wait_for

JOB = JobRef("j-1")
PATIENCE_S = 10.0
HOUR_S = 3600.0


def turns(
    clock: Clock,
    *cancelled: str,
    changed: Callable[[], None] = lambda: None,
    record: Callable[[], None] = lambda: None,
    cancellations: MemoryCancellations | None = None,
    hold: FakeHold | None = None,
) -> Turns:
    cancellations = cancellations or MemoryCancellations()
    cancellations.job_ids.update(cancelled)
    track = Track(GPUResourceConfig(), clock, MemoryStores().all())
    return Turns(clock, track, cancellations, hold or FakeHold(), changed, record)


def started(taker: Turns, request: Request[Any]) -> bool:
    """Whether the body of an operation was reached."""
    with taker.take(request, JOB):
        return True


def test_a_job_whose_deadline_passed_is_never_started() -> None:
    clock = FakeClock()
    with pytest.raises(DeadlinePassed, match="was not started") as refused:
        started(turns(clock), Ping(deadline_unix_s=clock.time() - 2.5))
    assert refused.value.details == {"late_s": 2.5}


def test_a_deadline_is_passed_at_its_moment() -> None:
    clock = FakeClock()
    with pytest.raises(DeadlinePassed):
        started(turns(clock), Ping(deadline_unix_s=clock.time()))
    assert started(turns(clock), Ping(deadline_unix_s=clock.time() + 0.1))


def test_a_job_that_was_cancelled_is_never_started() -> None:
    clock = FakeClock()
    with pytest.raises(JobCancelled, match="before it started"):
        started(turns(clock, JOB.id), Ping(sent_unix_s=clock.time() - 10))
    with pytest.raises(JobCancelled):
        started(turns(clock, JOB.id), Ping())


def test_the_turn_is_given_back_after_a_refusal_and_after_an_error() -> None:
    taker = turns(FakeClock())
    with pytest.raises(DeadlinePassed):
        started(taker, Ping(deadline_unix_s=0))
    with pytest.raises(ZeroDivisionError), taker.take(Ping(), JOB):
        raise ZeroDivisionError
    assert taker.operation is None
    assert started(taker, Ping())


def test_the_operation_in_flight_is_told_at_its_beginning_and_its_end() -> None:
    clock = FakeClock()
    seen: list[str | None] = []
    taker = turns(clock, changed=lambda: seen.append(taker.operation.job_id if taker.operation else None))
    with taker.take(Ask(prompt="?"), JOB):
        assert taker.operation is not None
        assert (taker.operation.kind, taker.operation.since_unix_s) == ("ask", clock.time())
    assert seen == [JOB.id, None]


def test_the_end_and_the_failure_of_what_is_recorded_are_recorded_once_it_is_over() -> None:
    seen: list[str | None] = []
    taker = turns(FakeClock(), record=lambda: seen.append(taker.operation.job_id if taker.operation else None))
    with taker.take(Ask(prompt="?"), JOB, recorded=True):
        assert seen == []
    assert seen == [None]
    with pytest.raises(ZeroDivisionError), taker.take(Ask(prompt="?"), JOB, recorded=True):
        raise ZeroDivisionError
    assert seen == [None] * 2


def test_what_never_began_is_not_recorded() -> None:
    clock = FakeClock()
    recorded: list[bool] = []
    taker = turns(clock, record=lambda: recorded.append(True))
    late = Ask(prompt="?", deadline_unix_s=clock.time() - 1)
    with pytest.raises(DeadlinePassed), taker.take(late, JOB, recorded=True):
        pytest.fail("the job had its turn")
    assert recorded == []


def test_only_the_job_in_flight_can_be_broken_off() -> None:
    taker = turns(FakeClock())
    with taker.take(Ask(prompt="?"), JOB) as turn:
        another = (taker.cancel("another"), turn.cancellation.cancelled)
        this = (taker.cancel(JOB.id), turn.cancellation.cancelled)
    after = taker.cancel(JOB.id)
    assert (another, this, after) == ((False, False), (True, True), False)


def test_a_job_called_off_before_its_turn_does_not_have_it() -> None:
    taker = turns(FakeClock())
    assert not taker.cancel(JOB.id)
    with pytest.raises(JobCancelled, match="before it started"), taker.take(Ask(prompt="?"), JOB):
        pytest.fail("the job had its turn")


def test_a_deadline_that_passes_while_the_cancellations_are_asked_for_is_kept() -> None:
    clock = FakeClock()

    class SlowCancellations(MemoryCancellations):
        def is_cancelled(self, job_id: str) -> bool:
            clock.advance(5)
            return super().is_cancelled(job_id)

    taker = turns(clock, cancellations=SlowCancellations())
    request = Ping(sent_unix_s=clock.time() - 1, deadline_unix_s=clock.time() + 2)
    with pytest.raises(DeadlinePassed, match="was not started"):
        started(taker, request)


def run_until_broken_off(turn: Turn) -> None:
    """Be an operation that goes on until it is called off."""
    woken = threading.Event()
    turn.cancellation.on_cancel(woken.set)
    assert woken.wait(PATIENCE_S), "nothing broke the operation off"
    raise JobCancelled("the operation was broken off")


def test_a_deadline_breaks_off_what_is_running() -> None:
    clock = FakeClock()
    with turns(clock).take(Ask(prompt="?", deadline_unix_s=clock.time() + 60), JOB) as turn:
        # It comes soon once the operation has begun, however long that took.
        clock.advance(59.95)
        with pytest.raises(DeadlinePassed, match="broken off at its deadline"), turn.broken_off_at_deadline():
            run_until_broken_off(turn)


@pytest.mark.parametrize("by_s", [-HOUR_S, -10.0, 10.0, HOUR_S])
def test_a_step_of_the_clock_leaves_a_running_job_its_time(by_s: float) -> None:
    clock = FakeClock()
    request = Ask(prompt="?", sent_unix_s=clock.time(), deadline_unix_s=clock.time() + 60)
    with turns(clock).take(request, JOB) as turn:
        clock.advance(10)
        clock.step_wall_clock(by_s)
        clock.advance(10)
        assert turn.remaining_s == pytest.approx(40)
        # As old as it is, by the clock as it is now.
        assert turn.operation.age_s(clock.time()) == pytest.approx(20)


@pytest.mark.parametrize("by_s", [10.0, HOUR_S])
def test_a_clock_that_is_set_forward_moves_the_deadlines_of_waiting_jobs(by_s: float) -> None:
    clock = FakeClock()
    request = Ask(prompt="?", sent_unix_s=clock.time(), deadline_unix_s=clock.time() + 60)
    clock.advance(10)
    clock.step_wall_clock(by_s)
    # What is sent from now on goes by the new time.
    later = Ask(prompt="?", sent_unix_s=clock.time(), deadline_unix_s=clock.time() + 60)
    clock.advance(10)
    taker = turns(clock)
    with taker.take(request, JOB) as turn:
        assert turn.remaining_s == pytest.approx(40)
        assert turn.waited_s == pytest.approx(20)
    with taker.take(later, JOB) as turn:
        assert turn.remaining_s == pytest.approx(50)
        assert turn.waited_s == pytest.approx(10)
    clock.advance(40)
    with pytest.raises(DeadlinePassed):
        started(taker, request)


@pytest.mark.parametrize("by_s", [-10.0, -HOUR_S])
def test_a_clock_that_is_set_back_gives_nobody_more_than_was_allowed(by_s: float) -> None:
    clock = FakeClock()
    request = Ask(prompt="?", sent_unix_s=clock.time(), deadline_unix_s=clock.time() + 60)
    clock.advance(10)
    clock.step_wall_clock(by_s)
    with turns(clock).take(request, JOB) as turn:
        assert turn.remaining_s == pytest.approx(min(60, 50 - by_s))
        assert turn.waited_s == math.inf


def test_whether_a_job_was_cancelled_is_looked_up_when_its_age_is_unknown() -> None:
    clock, cancellations = FakeClock(), MemoryCancellations()
    request = Ask(prompt="?", sent_unix_s=clock.time(), deadline_unix_s=clock.time() + 60)
    clock.advance(20)
    # As if it had just been sent.
    clock.step_wall_clock(-20)
    cancellations.job_ids.add(JOB.id)
    with pytest.raises(JobCancelled, match="before it started"):
        started(turns(clock, cancellations=cancellations), request)


def test_a_job_that_is_sent_some_time_after_the_clock_was_set_back_has_an_age() -> None:
    clock = FakeClock()
    clock.step_wall_clock(-20)
    clock.advance(25)
    request = Ask(prompt="?", sent_unix_s=clock.time())
    clock.advance(3)
    with turns(clock).take(request, JOB) as turn:
        assert turn.waited_s == pytest.approx(3)


def test_the_clock_is_read_again_before_a_job_is_late() -> None:
    """Another machine read it after it was set back, and this one has not."""
    clock = BehindTheTimes()
    shared_unix_s = clock.time() - 10
    clock.will_read(shared_unix_s)
    request = Ask(prompt="?", sent_unix_s=shared_unix_s, deadline_unix_s=shared_unix_s + 5)
    with turns(clock).take(request, JOB) as turn:
        assert turn.remaining_s == pytest.approx(5)


class BehindTheTimes(FakeClock):
    """A clock that was not read since the shared one was set."""

    def will_read(self, unix_s: float) -> None:
        self.shared_unix_s = unix_s

    def refresh(self) -> bool:
        self.step_wall_clock(self.shared_unix_s - self.time())
        return True


def test_a_cancellation_before_the_deadline_is_told_as_such() -> None:
    clock = SystemClock()
    with turns(clock).take(Ask(prompt="?", deadline_unix_s=clock.time() + 60), JOB) as turn:
        turn.cancellation.cancel()
        with pytest.raises(JobCancelled), turn.broken_off_at_deadline():
            run_until_broken_off(turn)


def test_an_operation_without_a_deadline_is_left_alone() -> None:
    with turns(FakeClock()).take(Ask(prompt="?"), JOB) as turn:
        with turn.broken_off_at_deadline():
            pass
        assert turn.remaining_s is None
        assert not turn.cancellation.cancelled


def test_the_times_of_an_operation() -> None:
    clock = FakeClock()
    with turns(clock).take(Ping(sent_unix_s=clock.time() - 3), JOB) as turn:
        clock.advance(2)
        outcome = turn.outcome()
    assert (outcome["waited_s"], outcome["duration_s"]) == (3.0, 2.0)


def test_threads_take_turns() -> None:
    taker = turns(FakeClock())
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(50):
            with taker.take(Ping(), JOB):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(most) == 200
    assert set(most) == {1}


def test_a_turn_says_what_it_is_at() -> None:
    clock, told = FakeClock(), 0

    def changed() -> None:
        nonlocal told
        told += 1

    taker = turns(clock, changed=changed)
    with taker.take(Ask(prompt="?"), JOB) as turn:
        begun = taker.operation
        assert begun is not None
        assert (begun.kind, begun.stage, begun.answer_tokens) == ("ask", "work", None)
        clock.sleep(2.0)
        turn.enter("read")
        reading = taker.operation
        assert reading is not None
        assert (reading.stage, reading.stage_since_unix_s) == ("read", begun.since_unix_s + 2.0)
        turn.heard_token()
        turn.heard_token()
        writing = taker.operation
        assert writing is not None
        assert (writing.stage, writing.answer_tokens) == ("generate", 2)
        told_so_far = told
        clock.sleep(1.0)
        turn.heard_token()
        assert told == told_so_far + 1
        turn.enter("read")
        again = taker.operation
        assert again is not None
        assert again.answer_tokens is None
    assert taker.operation is None


def test_a_turn_says_since_when_it_is_at_its_own_work() -> None:
    clock = FakeClock()
    taker = turns(clock)

    def since() -> float | None:
        assert taker.operation is not None
        return taker.operation.work_since_unix_s

    with taker.take(Ask(prompt="?"), JOB) as turn:
        assert since() == clock.time()
        turn.enter("load_vlm")
        assert since() is None
        clock.sleep(5.0)
        turn.enter("work")
        began_unix_s = clock.time()
        clock.sleep(2.0)
        turn.enter("read")
        turn.heard_token()
        assert since() == began_unix_s


class TestHold:
    def test_what_goes_wrong_once_the_track_is_lost_is_nobodys_error(self) -> None:
        hold = FakeHold()
        taker = turns(FakeClock(), hold=hold)
        with pytest.raises(JobCancelled), taker.take(Ping(), JOB):
            raise JobCancelled("called off")

        def be_broken_off() -> None:
            with taker.take(Ping(), JOB):
                hold.lose()
                raise JobCancelled("broken off")

        with pytest.raises(Overtaken):
            be_broken_off()
        assert taker.operation is None

    def test_a_job_that_came_before_the_track_was_lost_does_not_begin_after_it_is_back(self) -> None:
        hold = FakeHold()
        taker = turns(FakeClock(), hold=hold)
        ended: list[type] = []

        def wait_for_the_turn() -> None:
            with pytest.raises(Overtaken), taker.take(Ask(prompt="?"), JobRef("waits")):
                pytest.fail("the job had its turn")
            ended.append(Overtaken)

        thread = threading.Thread(target=wait_for_the_turn)
        with taker._mutex:
            thread.start()
            wait_for(lambda: hold.asked > 0, "it has come")
            hold.lose()
            hold.regain()
        thread.join(PATIENCE_S)
        assert ended == [Overtaken]
        assert started(taker, Ping())

    def test_while_nobody_knows_the_operation_waits_and_goes_on_if_the_track_is_still_its_own(self) -> None:
        clock, hold = FakeClock(), FakeHold()
        with turns(clock, hold=hold).take(Ping(), JOB) as turn:
            hold.in_doubt, known_unix_s = True, clock.time() + 20
            clock.on_sleep = lambda: setattr(hold, "in_doubt", clock.time() < known_unix_s)
            turn.confirm()
            assert clock.time() >= known_unix_s

    def test_while_nobody_knows_the_operation_waits_and_ends_once_the_track_is_known_to_be_lost(self) -> None:
        clock, hold = FakeClock(), FakeHold()
        clock.on_sleep = hold.lose
        taker = turns(clock, hold=hold)

        def fall_into_doubt() -> None:
            with taker.take(Ping(), JOB):
                hold.in_doubt = True
                taker.confirm()

        with pytest.raises(Overtaken):
            fall_into_doubt()

    def test_it_does_not_wait_longer_than_its_caller(self) -> None:
        clock, hold = FakeClock(), FakeHold()
        with turns(clock, hold=hold).take(Ping(deadline_unix_s=clock.time() + 30), JOB) as turn:
            hold.in_doubt = True
            with pytest.raises(DeadlinePassed):
                turn.confirm()
        hold.in_doubt = False
        with turns(clock, hold=hold).take(Ping(), JOB) as turn:
            hold.in_doubt, clock.on_sleep = True, turn.cancellation.cancel
            with pytest.raises(JobCancelled):
                turn.confirm()

    def test_without_an_operation_there_is_nothing_to_lose(self) -> None:
        hold = FakeHold()
        hold.lose()
        turns(FakeClock(), hold=hold).confirm()
