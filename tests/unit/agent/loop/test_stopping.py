"""A stop ends a call at once, and what the worker was asked for in it."""

import threading

import pytest

from singletrack.agent.loop.stopping import StoppedByPerson, until_stopped
from singletrack.reading.progress import Progress
from singletrack.scope import SentJob, scope
from singletrack_tasks.errors import JobCancelled, RedisUnavailable


class NotedJob(SentJob):
    """A job that notes that it was cancelled."""

    def __init__(self, error: Exception | None = None) -> None:
        self.cancelled = threading.Event()
        self._error = error

    @property
    def progress(self) -> Progress:
        raise AssertionError("nobody looks at it")

    def cancel(self) -> None:
        self.cancelled.set()
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [None, RedisUnavailable("Redis is away")])
def test_a_stop_cancels_what_was_sent_and_lets_nothing_more_be_sent(error: Exception | None) -> None:
    stop, job, ended = threading.Event(), NotedJob(error), threading.Event()
    later: list[JobCancelled] = []

    def call() -> None:
        jobs = scope.get()
        assert jobs is not None
        jobs.add(job)
        stop.set()
        job.cancelled.wait(60)
        try:
            jobs.check()
        except JobCancelled as cancelled:
            later.append(cancelled)
        ended.set()

    with pytest.raises(StoppedByPerson):
        until_stopped(call, stop)
    assert job.cancelled.is_set()
    assert ended.wait(60)
    assert len(later) == 1


def test_a_call_that_ends_by_itself_cancels_nothing() -> None:
    job = NotedJob()

    def call() -> int:
        jobs = scope.get()
        assert jobs is not None
        jobs.add(job)
        return 7

    assert until_stopped(call, threading.Event()) == 7
    assert not job.cancelled.is_set()
