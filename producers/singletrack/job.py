"""A job on the queue: its state, its result, and how to cancel it."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from enum import StrEnum
from typing import Any, Generic, TypeVar

from celery import states

from singletrack.reading.progress import Progress
from singletrack.reading.snapshots import Snapshot, SnapshotReader, no_worker
from singletrack.wire.celery_line import Handle
from singletrack.wire.limits import check_seconds
from singletrack.wire.link import RedisLink
from singletrack.wire.sender import Outcome, Sender
from singletrack_tasks.errors import (
    DeadLettered,
    DeadlinePassed,
    InvalidConfiguration,
    InvalidRequest,
    JobCancelled,
    RedisUnavailable,
    SingletrackError,
    UnsupportedVersion,
    WorkerFailure,
)
from singletrack_tasks.keys import CANCEL_TTL_S
from singletrack_tasks.message import Message

R = TypeVar("R", bound=Message)

CANCEL_COMMAND = "gpu_cancel"
# Celery waits on a subscription that a lost connection can silence: every slice begins with a look at the result.
_SLICE_S = 1.0
_RETRY_S = 0.2
# How long a job that was cancelled may still bring its result, and how often it is looked for.
_CANCELLED_S = 0.1
_LOOK_S = 0.02
_log = logging.getLogger(__name__)


class JobState(StrEnum):
    """Where a job is on its way; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @classmethod
    def of(cls, outcome: Outcome) -> "JobState":
        """Translate Celery's state."""
        if isinstance(outcome.error, JobCancelled):
            return cls.CANCELLED
        if isinstance(outcome.error, DeadlinePassed):
            return cls.EXPIRED
        if outcome.error is not None:
            return cls.FAILED
        if outcome.state == states.SUCCESS:
            return cls.DONE
        return cls.QUEUED if outcome.state in (states.PENDING, states.RECEIVED) else cls.RUNNING


class Job(Generic[R]):
    """One accepted request; `id` names it everywhere, in Flower too. Safe to use from several threads."""

    def __init__(
        self,
        handle: Handle,
        read: Callable[[Any], R],
        *,
        sender: Sender,
        link: RedisLink,
        timeout_s: float,
        worker_grace_s: float,
    ) -> None:
        self.id = handle.id
        self._read = read
        self._sender = sender
        self._link = link
        # Celery's handle belongs to the thread that sent; it already listens, which saves a round trip.
        self._handle = (threading.get_ident(), handle)
        self._deadline_s = time.monotonic() + timeout_s
        self._worker_grace_s = worker_grace_s
        self._cancelled = threading.Event()
        self._outcome: Outcome | None = None

    @property
    def state(self) -> JobState:
        """Read the job's state; raises `RedisUnavailable`."""
        state = self._reported_state()
        if state is not JobState.QUEUED:
            return state
        if not self._cancelled.is_set() and self._has_the_gpu():
            return JobState.RUNNING
        # It may have ended between the two looks.
        state = self._reported_state()
        if state is JobState.QUEUED and self._cancelled.is_set():
            return JobState.CANCELLED
        if state is JobState.QUEUED and time.monotonic() > self._deadline_s:
            return JobState.EXPIRED
        return state

    def result(self, timeout_s: float | None = None) -> R:
        """Wait for the result, until the job's own deadline unless `timeout_s` (seconds) ends earlier.

        Raises the job's error as itself. When the time is up, or no worker has been seen for the client's
        `worker_grace_s`, the job is cancelled and `DeadlinePassed` or `NoWorker` raised. A Redis that cannot be reached
        is tolerated for as long, then `RedisUnavailable` is raised.
        """
        until_s = self._deadline_s
        if timeout_s is not None:
            until_s = min(until_s, time.monotonic() + check_seconds("timeout_s", timeout_s))
        outcome = self._outcome or self._wait(until_s)
        self._outcome = outcome
        if outcome.error is not None:
            raise outcome.error
        try:
            return self._read(outcome.payload)
        except UnsupportedVersion:
            raise
        except InvalidRequest as error:
            raise WorkerFailure(
                f"the result cannot be read: {error}. Install the same release of singletrack at both ends."
            ) from error

    @property
    def progress(self) -> Progress:
        """Read how far the job is, and why it waits; never waits for the GPU. Raises `RedisUnavailable`."""
        return Progress.of(self.id, SnapshotReader(self._link).look(self.id))

    def cancel(self) -> None:
        """Cancel the job: it will not start, or is broken off if it runs; harmless once it has ended.

        Callers that wait for the result get `JobCancelled`. Raises `RedisUnavailable`.
        """
        self._cancelled.set()
        with self._link.reaching() as client:
            client.set(self._link.keys.cancel(self.id), b"1", ex=CANCEL_TTL_S)
        self._sender.tell_workers(CANCEL_COMMAND, {"job_id": self.id})

    def leave_thread(self) -> None:
        """Close the connections over which the calling thread waited for results, before it ends."""
        self._sender.leave_thread()

    def _reported_state(self) -> JobState:
        return JobState.of(self._outcome or self._sender.look(self.id))

    def _has_the_gpu(self) -> bool:
        """Look at the status: a mark in the result's place would cost every job two more round trips to Redis."""
        snapshot = SnapshotReader(self._link).read()
        operation = snapshot.parse().operation if snapshot is not None and snapshot.fresh else None
        return operation is not None and operation.job_id == self.id

    def _wait(self, until_s: float) -> Outcome:
        watch = _Watch(SnapshotReader(self._link), self._worker_grace_s)
        with closing(_Listener(self._sender, self.id, self._handle)) as listener:
            return self._listen(listener, watch, until_s)

    def _listen(self, listener: "_Listener", watch: "_Watch", until_s: float) -> Outcome:
        while True:
            left_s = until_s - time.monotonic()
            try:
                # Even when the time is up: a result that is there is given.
                if not self._cancelled.is_set() and (outcome := listener.wait(min(_SLICE_S, max(left_s, 0.001)))):
                    return outcome
                if self._cancelled.is_set():
                    return self._wait_cancelled()
                watch.look()
            except RedisUnavailable as error:
                watch.lost(error)
                listener.renew()
                time.sleep(_RETRY_S)
            if watch.worker_gone or until_s <= time.monotonic():
                self._give_up()
                raise self._too_late(watch)

    def _wait_cancelled(self) -> Outcome:
        """Take a result that is there, or comes in a moment; raises `JobCancelled` if there is none."""
        until_s = time.monotonic() + _CANCELLED_S
        while not (outcome := self._sender.look(self.id)).ended:
            if time.monotonic() > until_s:
                raise JobCancelled(f"the job {self.id} was cancelled")
            time.sleep(_LOOK_S)
        return outcome

    def _too_late(self, watch: "_Watch") -> SingletrackError:
        if watch.trouble is not None:
            return watch.trouble
        if not watch.worker_seen:
            return no_worker(self._link.keys.track, watch.last, "The job was cancelled. ")
        return DeadlinePassed(
            f"the job {self.id} did not end in time, and was cancelled. Allow more time with timeout_s."
        )

    def _give_up(self) -> None:
        try:
            self.cancel()
        except (RedisUnavailable, InvalidConfiguration) as error:
            # The error that follows matters more; the job's deadline, which the worker checks, ends it as well.
            _log.warning("could not cancel the job %s: %s", self.id, error)


class _Listener:
    """Listens for one result in one thread."""

    def __init__(self, sender: Sender, job_id: str, handle: tuple[int, Handle]) -> None:
        self._sender = sender
        self._job_id = job_id
        thread, result = handle
        mine = thread == threading.get_ident() and sender.made(result)
        self._result: Handle | None = result if mine else None

    def wait(self, timeout_s: float) -> Outcome | None:
        if self._result is None:
            self._result = self._sender.result(self._job_id)
        outcome = self._sender.wait(self._result, timeout_s)
        if outcome is not None and isinstance(outcome.error, DeadLettered):
            return self._unless_sent_again(outcome)
        return outcome

    def _unless_sent_again(self, heard: Outcome) -> Outcome | None:
        """Look again: what was heard may be from before the job was retried, which makes Redis forget it."""
        if self._sender.look(self._job_id).ended:
            return heard
        self.renew()
        return None

    def renew(self) -> None:
        """Subscribe again at the next wait: a subscription does not survive a lost connection."""
        self.close()
        self._result = None

    def close(self) -> None:
        """Stop listening: Celery keeps what it waits for until it comes."""
        if self._result is not None:
            self._result.release()


class _Watch:
    """Notices during a wait that the worker, or Redis, has gone."""

    def __init__(self, reader: SnapshotReader, grace_s: float) -> None:
        self._reader = reader
        self._grace_s = grace_s
        self._worker_at_s = self._redis_at_s = time.monotonic()
        self.worker_seen = False
        self.last: Snapshot | None = None
        self.trouble: RedisUnavailable | None = None

    def look(self) -> None:
        self.last = self._reader.read()
        self.trouble = None
        self._redis_at_s = time.monotonic()
        self.worker_seen = self.last is not None and self.last.fresh
        if self.worker_seen:
            self._worker_at_s = self._redis_at_s

    @property
    def worker_gone(self) -> bool:
        return not self.worker_seen and self._redis_at_s - self._worker_at_s > self._grace_s

    def lost(self, error: RedisUnavailable) -> None:
        self.trouble = error
        if time.monotonic() - self._redis_at_s > self._grace_s:
            raise error
