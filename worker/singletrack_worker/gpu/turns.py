"""The turns of operations at the GPU: one at a time, each under the worker's hold on its track."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from singletrack_tasks.errors import JobCancelled
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.status import OperationInFlight
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.hold import Hold, Overtaken, Permit
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.stores import Cancellations
from singletrack_worker.gpu.turn import Turn

# A cancellation of a job that starts this soon reaches this worker directly: asking Redis as well would cost every job
# a round trip.
GIVEN_UP_AFTER_S = 0.05
GIVEN_UP_KEPT = 1000
_log = logging.getLogger(__name__)


class Turns:
    """The mutex around every GPU operation (R5.4), and its holder."""

    def __init__(
        self,
        clock: Clock,
        track: Track,
        cancellations: Cancellations,
        hold: Hold,
        changed: Callable[[], None],
        record: Callable[[], None],
    ) -> None:
        """Call `changed` when the status changed, and `record` after the end of a recorded operation."""
        self._mutex = threading.Lock()
        self._clock = clock
        self._track = track
        self._cancellations = cancellations
        self._hold = hold
        self._changed = changed
        self._record = record
        self._turn: Turn | None = None
        # The newest jobs whose cancellation this worker was notified of: their turn may still be to come.
        self._given_up: dict[str, None] = {}

    @property
    def operation(self) -> OperationInFlight | None:
        """The operation in flight; safe from any thread."""
        turn = self._turn
        return None if turn is None else turn.operation

    @contextmanager
    def take(
        self, request: Request[Any], job: JobRef, *, kind: str | None = None, recorded: bool = False
    ) -> Iterator[Turn]:
        """Wait for the turn and hold it; raises `DeadlinePassed` and `JobCancelled` before anything is done.

        Raises `Overtaken`, whatever the error was, once the track is lost that this worker had when it called.
        The worker's own operations have a `kind` other than their request's, one of `OWN_KINDS`.
        The end of a `recorded` operation, and of any that moved a tenant, is in the status before its caller gets the
        result, or its failure.
        """
        # Before the wait for the turn: a job that came under a hold that is lost by then must not begin.
        permit = Permit(self._hold, self._clock)
        with self._mutex:
            turn = Turn(job, request, self._clock, self._track.reasons, permit, self._changed, kind=kind)
            error: BaseException | None = None
            try:
                with turn.overtaken_silently():
                    turn.refuse_if_stale()
                    self._turn = turn
                    self._refuse_if_given_up(turn)
                    # Redis may have been slow to answer.
                    turn.refuse_if_stale()
                    turn.confirm()
                    self._changed()
                    yield turn
            except Overtaken as failure:
                _log.warning("%s of job %s is left to the next worker: %s", turn.kind, job.id or "none", failure)
                error = failure
                raise
            except BaseException as failure:
                error = failure
                raise
            finally:
                begun = self._turn is turn
                self._turn = None
                self._track.journal.ended(turn.ended(error), error)
                if begun and (recorded or turn.moves or turn.moved_a_tenant):
                    self._record()
                else:
                    self._changed()

    def cancel(self, job_id: str) -> bool:
        """Break off the operation of a job if it has the turn; returns whether it did."""
        # Noted first, compared second; `take` does it in reverse order, so one of the two sees the other.
        self._given_up[job_id] = None
        if len(self._given_up) > GIVEN_UP_KEPT:
            del self._given_up[next(iter(self._given_up))]
        turn = self._turn
        if turn is None or turn.job.id != job_id:
            return False
        turn.cancellation.cancel()
        return True

    def look_for_cancellation(self) -> None:
        """Break off an operation that was cancelled while this worker could not be notified; safe from any thread."""
        turn = self._turn
        if turn is not None and turn.job.id and self._cancellations.is_cancelled(turn.job.id):
            turn.cancellation.cancel()

    def confirm(self) -> None:
        """Raise `Overtaken` if the operation that has the turn must make no more requests, as `Turn.confirm` does."""
        turn = self._turn
        if turn is not None:
            turn.confirm()

    def break_off(self) -> None:
        """Break off whatever operation has the turn; safe from any thread."""
        turn = self._turn
        if turn is not None:
            turn.cancellation.cancel()

    def _refuse_if_given_up(self, turn: Turn) -> None:
        job_id = turn.job.id
        notified = job_id in self._given_up
        if notified or (turn.waited_s > GIVEN_UP_AFTER_S and self._cancellations.is_cancelled(job_id)):
            raise JobCancelled(f"job {job_id} was cancelled before it started")
