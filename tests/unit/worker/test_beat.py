"""The schedule of the checks: by a clock that nobody sets."""

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.beat import Scheduler
from celery.schedules import schedule

from singletrack_worker.beat import SteadySchedule, beat_settings, steady_now

EVERY_S = 15.0
HOUR = timedelta(hours=1)


class Watch:
    """A clock of a test, as Celery asks for one."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def test_it_is_due_once_an_interval() -> None:
    watch = Watch()
    every = SteadySchedule(EVERY_S, nowfun=watch, app=Celery(set_as_current=False))
    last = watch.now
    assert every.is_due(last) == (False, EVERY_S)
    watch.now += timedelta(seconds=10)
    assert every.is_due(last) == (False, 5.0)
    watch.now += timedelta(seconds=5)
    assert every.is_due(last) == (True, EVERY_S)


def test_a_last_run_in_the_future_is_no_reason_to_wait_for_it() -> None:
    """The clock was set back while beat was not running: the file says when it last ran."""
    watch = Watch()
    app = Celery(set_as_current=False)
    assert schedule(EVERY_S, nowfun=watch, app=app).is_due(watch.now + HOUR)[1] > 3600
    assert SteadySchedule(EVERY_S, nowfun=watch, app=app).is_due(watch.now + HOUR) == (True, EVERY_S)


def test_the_wall_clock_is_not_what_it_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    before = steady_now()
    monkeypatch.setattr("singletrack_worker.beat.datetime", Watch())
    assert timedelta(0) <= steady_now() - before < HOUR
    assert SteadySchedule(EVERY_S).now() - before < HOUR


def test_beat_keeps_its_schedule_in_a_file() -> None:
    kept = pickle.loads(pickle.dumps(SteadySchedule(EVERY_S)))  # noqa: S301 - its own
    assert kept == SteadySchedule(EVERY_S)
    assert kept.nowfun is steady_now


def test_celerys_scheduler_waits_no_longer_than_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.update(beat_settings(EVERY_S))
    scheduler = Scheduler(app)
    sent: list[str | None] = []
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, producer: sent.append(entry.task))
    entry = scheduler.schedule["upkeep"]
    entry.last_run_at = steady_now() + HOUR
    scheduler.tick()
    assert sent == ["gpu.upkeep.tick"]
    assert EVERY_S - 1 < scheduler.tick() <= EVERY_S
