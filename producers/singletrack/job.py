"""A job on the queue: its state, its result, and how to cancel it."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from celery import states

from singletrack.reading.progress import Progress
from singletrack.reading.snapshots import Snapshot, SnapshotReader, no_worker
from singletrack.reading.whereabouts import Whereabouts
from singletrack.reading.worker_watch import WorkerWatch
from singletrack.wire.celery_line import Handle
from singletrack.wire.limits import check_seconds
from singletrack.wire.link import RedisLink
from singletrack.wire.listener import Listener
from singletrack.wire.sender import Outcome, Sender
from singletrack_tasks.errors import (
    DeadlinePassed,
    InvalidConfiguration,
    InvalidRequest,
    JobCancelled,
    JobLost,
    NoWorker,
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
        # A job that found no worker is called off.
        if isinstance(outcome.error, JobCancelled | NoWorker):
            return cls.CANCELLED
        if isinstance(outcome.error, DeadlinePassed):
            return cls.EXPIRED
        if outcome.error is not None:
            return cls.FAILED
        if outcome.state == states.SUCCESS:
            return cls.DONE
        return cls.QUEUED if outcome.state in (states.PENDING, states.RECEIVED) else cls.RUNNING


@dataclass(frozen=True)
class _End(Generic[R]):
    """How a job ended: with a value, or with an error."""

    state: JobState
    value: R | None = None
    error: SingletrackError | None = None

    def told(self) -> R:
        """Return the value, or raise the error."""
        if self.error is not None:
            # One error for all who ask: each `raise` would lengthen its traceback.
            raise self.error.with_traceback(None)
        value: Any = self.value
        return cast("R", value)


class Job(Generic[R]):
    """One accepted request; `id` names it everywhere, in Flower too. Safe to use from several threads.

    It has one end: once `result` or `state` has told a caller how it ended, both tell the same for ever.
    """

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
        self._whereabouts = Whereabouts(link, handle.id, handle.message)
        self._deadline_s = time.monotonic() + timeout_s
        self._worker_grace_s = worker_grace_s
        self._cancelled = False
        # Its first value stays: `setdefault` is one step, and needs no lock, which a fork could leave held.
        self._ends: dict[str, _End[R]] = {}

    @property
    def state(self) -> JobState:
        """Read the job's state; raises `RedisUnavailable`."""
        state = self._reported_state()
        if state is not JobState.QUEUED:
            return state
        snapshot = SnapshotReader(self._link).read()
        if not self._cancelled and self._has_the_gpu(snapshot):
            return JobState.RUNNING
        # It may have ended between the two looks.
        state = self._reported_state()
        if state is JobState.QUEUED and self._cancelled:
            return self._end(self._was_cancelled()).state
        if state is JobState.QUEUED and time.monotonic() > self._deadline_s:
            return self._end(self._too_late()).state
        if state is JobState.QUEUED and self._gone(snapshot):
            return self._lose().state
        return state

    def result(self, timeout_s: float | None = None) -> R:
        """Wait for the result, until the job's own deadline unless `timeout_s` (seconds) ends earlier.

        Raises the job's error as itself. When the time is up, or no worker has been seen for the client's
        `worker_grace_s`, the job is cancelled and `DeadlinePassed` or `NoWorker` raised. A job that is no longer in
        Redis raises `JobLost`. A Redis that cannot be reached or refuses access is borne for as long, then
        `RedisUnavailable` or `InvalidConfiguration` is raised: that is no end, ask again.
        """
        until_s = self._deadline_s
        if timeout_s is not None:
            until_s = min(until_s, time.monotonic() + check_seconds("timeout_s", timeout_s))
        end = self._known_end or self._wait(until_s)
        return end.told()

    @property
    def progress(self) -> Progress:
        """Read how far the job is, and why it waits; never waits for the GPU. Raises `RedisUnavailable`."""
        return Progress.of(self.id, SnapshotReader(self._link).look(self.id))

    def cancel(self) -> None:
        """Cancel the job: it will not start, or is broken off if it runs; harmless once it has ended.

        Callers that wait for the result get `JobCancelled`. Raises `RedisUnavailable`.
        """
        with self._link.reaching() as client:
            client.set(self._link.keys.cancel(self.id), b"1", ex=CANCEL_TTL_S)
        # Not before: a job that could not be cancelled goes on.
        self._cancelled = True
        self._sender.tell_workers(CANCEL_COMMAND, {"job_id": self.id})

    def leave_thread(self) -> None:
        """Close the connections over which the calling thread waited for results, before it ends."""
        self._sender.leave_thread()

    @property
    def _known_end(self) -> _End[R] | None:
        return self._ends.get("first")

    def _end(self, outcome: Outcome) -> _End[R]:
        """Note how the job ended, unless that is known already; returns what is known."""
        return self._ends.setdefault("first", self._end_of(outcome))

    def _end_of(self, outcome: Outcome) -> _End[R]:
        if outcome.error is not None:
            return _End(JobState.of(outcome), error=outcome.error)
        try:
            return _End(JobState.DONE, self._read(outcome.payload))
        except UnsupportedVersion as error:
            return _End(JobState.FAILED, error=error)
        except InvalidRequest as error:
            unreadable = WorkerFailure(
                f"the result cannot be read: {error}. Install the same release of singletrack at both ends."
            )
            unreadable.__cause__ = error
            return _End(JobState.FAILED, error=unreadable)

    def _reported_state(self) -> JobState:
        if (known := self._known_end) is not None:
            return known.state
        outcome = self._sender.look(self.id)
        return self._end(outcome).state if outcome.ended else JobState.of(outcome)

    def _has_the_gpu(self, snapshot: Snapshot | None) -> bool:
        """Look at the status: a mark in the result's place would cost every job two more round trips to Redis."""
        operation = snapshot.parse().operation if snapshot is not None and snapshot.fresh else None
        return operation is not None and operation.job_id == self.id

    def _wait(self, until_s: float) -> _End[R]:
        watch = WorkerWatch(SnapshotReader(self._link), self._worker_grace_s)
        with closing(Listener(self._sender, self.id, self._handle)) as listener:
            return self._listen(listener, watch, until_s)

    def _listen(self, listener: Listener, watch: WorkerWatch, until_s: float) -> _End[R]:
        while True:
            left_s = until_s - time.monotonic()
            try:
                # Even when the time is up: a result that is there is given.
                if not self._cancelled and (outcome := listener.wait(min(_SLICE_S, max(left_s, 0.001)))):
                    return self._end(outcome)
                # Another thread may have been told an end meanwhile.
                if (known := self._known_end) is not None:
                    return known
                if self._cancelled:
                    return self._wait_cancelled()
                watch.look()
                if self._gone(watch.last):
                    return self._lose()
            except (RedisUnavailable, InvalidConfiguration) as error:
                watch.lost(error)
                listener.renew()
                time.sleep(_RETRY_S)
            if watch.worker_gone or until_s <= time.monotonic():
                return self._give_up(watch)

    def _wait_cancelled(self) -> _End[R]:
        """Take a result that is there, or comes in a moment."""
        until_s = time.monotonic() + _CANCELLED_S
        while not (outcome := self._sender.look(self.id)).ended:
            if time.monotonic() > until_s:
                return self._end(self._was_cancelled())
            time.sleep(_LOOK_S)
        return self._end(outcome)

    def _give_up(self, watch: WorkerWatch) -> _End[R]:
        """Call the job off, and end it for all who ask; raises `RedisUnavailable` if that is what is in the way."""
        gone = None if watch.worker_seen else no_worker(self._link.keys.track, watch.last, "The job was cancelled. ")
        if watch.trouble is not None and not self._call_off():
            raise watch.trouble
        end = self._end(self._too_late() if gone is None else Outcome(states.FAILURE, error=gone))
        if watch.trouble is None:
            self._call_off()
        return end

    def _gone(self, snapshot: Snapshot | None) -> bool:
        """Whether nobody will run the job; a worker may run it to its end although its message is gone."""
        return self._whereabouts.gone() and not self._has_the_gpu(snapshot)

    def _lose(self) -> _End[R]:
        """End a job that is gone; it is cancelled, so that it would not run if it turned up after all."""
        error = JobLost(
            f"the job {self.id} is no longer in Redis: the queue was purged, or the data was lost. Send it again."
        )
        end = self._end(Outcome(states.FAILURE, error=error))
        self._call_off()
        return end

    def _call_off(self) -> bool:
        """Cancel the job if Redis can be reached; returns whether it is cancelled."""
        try:
            self.cancel()
        except (RedisUnavailable, InvalidConfiguration) as error:
            # The error that follows matters more; the job's deadline, which the worker checks, ends it as well.
            _log.warning("could not cancel the job %s: %s", self.id, error)
        return self._cancelled

    def _was_cancelled(self) -> Outcome:
        return Outcome(states.REVOKED, error=JobCancelled(f"the job {self.id} was cancelled"))

    def _too_late(self) -> Outcome:
        error = DeadlinePassed(
            f"the job {self.id} did not end in time, and was cancelled. Allow more time with timeout_s."
        )
        return Outcome(states.FAILURE, error=error)
