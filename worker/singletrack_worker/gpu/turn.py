"""One operation's turn at the GPU: exclusive, only while its caller waits, and interruptible from outside."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from singletrack_tasks.errors import DeadlinePassed, JobCancelled
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.result import Degradation, StepReceipt
from singletrack_tasks.status import AT_WORK, OperationInFlight, Stage
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import STEP_S, Clock, deadline_s
from singletrack_worker.gpu.hold import TAKEN, Overtaken, Permit
from singletrack_worker.gpu.known.journal import outcome_of
from singletrack_worker.gpu.known.reasons import Reasons
from singletrack_worker.gpu.known.receipts import Move
from singletrack_worker.gpu.out_of_memory import is_out_of_memory
from singletrack_worker.gpu.stores import EndedOperation

TOKENS_REPORTED_EVERY_S = 0.25
# The worker's own operations, at its start and after a lost lease; all others have a request.
SETTLE, RESUME = OWN_KINDS = ("settle", "resume")


class ResultFields(TypedDict):
    """The fields of every result."""

    receipts: tuple[StepReceipt, ...]
    reasons: tuple[Degradation, ...]
    waited_s: float | None
    duration_s: float


class Turn:
    """The operation that has the GPU: its job, its times, and its cancellation."""

    def __init__(
        self,
        job: JobRef,
        request: Request[Any],
        clock: Clock,
        reasons: Reasons,
        permit: Permit,
        changed: Callable[[], None],
        *,
        kind: str | None = None,
    ) -> None:
        self.job = job
        self.kind = request.KIND if kind is None else kind
        self.cancellation = Cancellation()
        self.moves: tuple[Move, ...] = ()
        self.retries = 0
        self.out_of_memory = False
        # Whether a tenant changed its device other than by a move.
        self.moved_a_tenant = False
        # Seconds for which it could not begin its work, not counting its steps.
        self.held_up_s = 0.0
        self._request = request
        self._clock = clock
        self._reasons = reasons
        self._permit = permit
        self._changed = changed
        self._started_s = clock.monotonic()
        self._stage_at_s = self._started_s
        self._work_at_s: float | None = self._started_s
        sent_unix_s, deadline_unix_s = request.sent_unix_s, request.deadline_unix_s
        self._deadline_s = None if deadline_unix_s is None else deadline_s(clock, sent_unix_s, deadline_unix_s)
        self._known_waited_s = None if sent_unix_s is None else _age_s(clock, sent_unix_s)
        self._stage: Stage = "work"
        self._tokens: int | None = None
        self._all_tokens = 0
        self._reported_s = self._started_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, None without one."""
        return None if self._deadline_s is None else self._deadline_s - self._clock.monotonic()

    @property
    def waited_s(self) -> float:
        """Seconds in the queue, infinity if that is unknown."""
        return math.inf if self._known_waited_s is None else self._known_waited_s

    @property
    def operation(self) -> OperationInFlight:
        """The operation as the status shows it; safe from any thread."""
        return OperationInFlight(
            job_id=self.job.id,
            kind=self.kind,
            since_unix_s=self._clock.unix(self._started_s),
            stage=self._stage,
            stage_since_unix_s=self._clock.unix(self._stage_at_s),
            work_since_unix_s=None if self._work_at_s is None else self._clock.unix(self._work_at_s),
            answer_tokens=self._tokens,
        )

    def enter(self, stage: Stage) -> None:
        """Enter the next stage."""
        now_s = self._clock.monotonic()
        if stage not in AT_WORK:
            self._work_at_s = None
        elif self._work_at_s is None:
            self._work_at_s = now_s
        self._stage, self._stage_at_s = stage, now_s
        self._tokens = None
        self._changed()

    def heard_token(self) -> None:
        """Count a token of the answer; the status is updated every so often."""
        if self._stage != "generate":
            self.enter("generate")
        self._tokens = (self._tokens or 0) + 1
        self._all_tokens += 1
        now_s = self._clock.monotonic()
        if now_s - self._reported_s >= TOKENS_REPORTED_EVERY_S:
            self._reported_s = now_s
            self._changed()

    @property
    def _duration_s(self) -> float:
        return max(0.0, self._clock.monotonic() - self._started_s)

    def ended(self, error: BaseException | None) -> EndedOperation:
        """Return a summary of the operation."""
        duration_s = self._duration_s
        return EndedOperation(
            kind=self.kind,
            job_id=self.job.id,
            outcome=outcome_of(error),
            error=None if error is None else type(error).__name__,
            waited_s=self._known_waited_s,
            duration_s=duration_s,
            work_s=max(0.0, duration_s - self.held_up_s - sum(move.receipt.duration_s for move in self.moves)),
            moves=len(self.moves),
            retries=self.retries,
            out_of_memory=self.out_of_memory or is_out_of_memory(error),
            answer_tokens=self._all_tokens,
        )

    def outcome(self) -> ResultFields:
        """Return the fields of every result."""
        return ResultFields(
            receipts=tuple(move.receipt for move in self.moves),
            reasons=self._reasons.current(),
            waited_s=self._known_waited_s,
            duration_s=self._duration_s,
        )

    def raise_first_error(self) -> None:
        """Raise the error of the first step that failed, if one did."""
        for move in self.moves:
            if move.error is not None:
                raise move.error

    def refuse_if_stale(self) -> None:
        """Raise `DeadlinePassed` for an operation whose caller no longer waits."""
        remaining = self.remaining_s
        if remaining is not None and remaining <= 0:
            raise DeadlinePassed(
                f"job {self.job.id} was not started: its deadline passed {-remaining:.1f} s ago. Allow more time, or "
                "check the status for what keeps the GPU busy.",
                {"late_s": round(-remaining, 3)},
            )

    def confirm(self) -> None:
        """Raise `Overtaken` if another worker has the track; while nobody knows, wait for as long as the caller does.

        Raises `DeadlinePassed` and `JobCancelled`.
        """
        self._permit.confirm(self._refuse_to_wait)

    def _refuse_to_wait(self) -> None:
        self.refuse_if_stale()
        if self.cancellation.cancelled:
            raise JobCancelled(f"job {self.job.id} was cancelled while Redis could not say who has the track")

    @contextmanager
    def overtaken_silently(self) -> Iterator[None]:
        """End in `Overtaken`, whatever came of it, if another worker has taken the track meanwhile."""
        try:
            yield
        except Exception as error:
            if self._permit.lost:
                raise Overtaken(TAKEN) from error
            raise
        if self._permit.lost:
            raise Overtaken(TAKEN)

    @contextmanager
    def broken_off_at_deadline(self) -> Iterator[None]:
        """Break the operation off when its deadline passes: `DeadlinePassed` instead of `JobCancelled`."""
        remaining = self.remaining_s
        timer = None
        # Noted by the timer, which may be a little early.
        passed = threading.Event()

        def break_off() -> None:
            passed.set()
            self.cancellation.cancel()

        if remaining is not None:
            timer = threading.Timer(min(remaining, threading.TIMEOUT_MAX), break_off)
            timer.daemon = True
            timer.start()
        try:
            yield
        except JobCancelled as error:
            self._explain(error, passed=passed.is_set())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _explain(self, error: JobCancelled, *, passed: bool) -> None:
        remaining = self.remaining_s
        if passed or (remaining is not None and remaining <= 0):
            raise DeadlinePassed(f"job {self.job.id} was broken off at its deadline") from error


def _age_s(clock: Clock, sent_unix_s: float) -> float | None:
    """The age of a request; None if nobody can tell: it comes from the future, or from a time that was shown twice."""
    if clock.showed_twice(sent_unix_s):
        return None
    age_s = clock.time() - sent_unix_s - clock.set_forward_since(sent_unix_s)
    return None if age_s < -STEP_S else max(0.0, age_s)
