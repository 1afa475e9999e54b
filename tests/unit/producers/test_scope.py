"""Giving up the jobs that one call has sent."""

import pytest

from singletrack.reading.progress import Progress
from singletrack.scope import Scope
from singletrack_tasks.errors import JobCancelled, RedisUnavailable


class SomeJob:
    """A job that Redis may not be told of."""

    def __init__(self, *, reachable: bool) -> None:
        self.progress = Progress(None)
        self.cancelled = False
        self._reachable = reachable

    def cancel(self) -> None:
        self.cancelled = True
        if not self._reachable:
            raise RedisUnavailable("gone")


def test_all_jobs_are_called_off_also_where_one_cannot_be_told() -> None:
    jobs = [SomeJob(reachable=False), SomeJob(reachable=True), SomeJob(reachable=False)]
    call = Scope()
    for job in jobs:
        call.add(job)
    assert call.newest is jobs[-1]
    with pytest.raises(RedisUnavailable):
        call.cancel()
    assert all(job.cancelled for job in jobs)


def test_what_is_sent_after_the_call_was_given_up_is_called_off() -> None:
    call = Scope()
    call.check()
    call.cancel()
    late = SomeJob(reachable=True)
    call.add(late)
    assert late.cancelled
    with pytest.raises(JobCancelled):
        call.check()
