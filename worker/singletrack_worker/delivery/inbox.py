"""The worker's inbox: each message is on the queue or in one holder's hands, and leaves with its result."""

import logging
import threading
import time
from collections.abc import Callable, Container

import redis

from singletrack_tasks.keys import Keys
from singletrack_worker.delivery.admission import Admission
from singletrack_worker.delivery.dead_letter_box import DeadLetterBox
from singletrack_worker.delivery.envelope import Envelope
from singletrack_worker.delivery.held_message import HeldMessage
from singletrack_worker.delivery.ledger import Ledger
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.settings import STARTS_MAX

# The list of a holder that took its lease longer ago than this is no longer swept.
HOLDER_FORGOTTEN_S = 24 * 3600
# How long nothing is taken before a suspect starts that nobody waits beside: what kills workers from outside may show.
SUSPECT_PAUSE_S = 5.0
_log = logging.getLogger(__name__)


class Inbox:
    """The messages of a track, one at a time.

    Taking a message moves it from the queue to the list of the holder's token, atomically; it leaves that list in the
    same step in which its result is written. Whatever is found in another token's list, or in this one's without being
    held, goes back to the queue. Thread-safe.
    """

    def __init__(
        self,
        keys: Keys,
        scripts: Scripts,
        *,
        host: str,
        tasks: Container[str],
        starts_max: int = STARTS_MAX,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        """Take nothing until `open`; `refused` is called when a write shows that another worker has the lease."""
        self._keys = keys
        self._scripts = scripts
        self._admission = Admission(keys, scripts, DeadLetterBox(keys, scripts, host), tasks, starts_max)
        self._ledger = Ledger(keys, scripts, lambda: self._giving_back)
        self._paused_until_s = 0.0
        self._lock = threading.RLock()
        self._token = 0
        self._held: HeldMessage | None = None
        self._giving_back = False
        self._lost_tags: set[str] = set()
        self._refused = refused
        # How many tasks have begun.
        self.begun = 0

    @property
    def queue(self) -> str:
        """The Redis key of the queue."""
        return self._keys.queue

    @property
    def token(self) -> int:
        """The token under which messages are taken, 0 while none may be taken."""
        return self._token

    @property
    def taken(self) -> str:
        """The Redis key of the list that taken messages are moved to."""
        return self._keys.taken(self._token)

    @property
    def ready(self) -> bool:
        """Whether a message may be taken: this worker has the lease and no message in hand."""
        if self._token == 0 or self._held is not None or self._giving_back:
            return False
        return time.monotonic() >= self._paused_until_s

    @property
    def giving_back(self) -> bool:
        """Whether the worker is ending, so that an operation that fails now is put back."""
        return self._giving_back

    def open(self, token: int) -> int:
        """Take messages under this token from now on; returns how many of earlier holders' messages were put back.

        Raises `redis.RedisError`.
        """
        with self._lock:
            self._token = token
        return self.sweep()

    def condemn(self, token: int, dead: int, why: str) -> str:
        """Have the job that a dead worker's token had in hand buried when it comes; returns its id, '' if it had none.

        Call it before `open`. Raises `redis.RedisError`.
        """
        return self._admission.condemn(token, dead, why)

    def suspend(self) -> None:
        """Take no more messages; the one in hand goes on, but its result will be refused."""
        with self._lock:
            self._token = 0

    def sweep(self) -> int:
        """Put back the messages of holders whose lease is over; returns how many.

        Raises `redis.RedisError`.
        """
        with self._lock:
            if not self._token:
                return 0
            moved: int = self._scripts.sweep(
                keys=[self._keys.queue, self._keys.holders, self._keys.fence],
                args=[self._keys.taken(""), self._token, HOLDER_FORGOTTEN_S * 1000],
            )
        if moved < 0:
            self._refused()
        elif moved:
            _log.warning("%d messages taken by an earlier worker were put back on the queue", moved)
        return max(0, moved)

    def recover(self) -> None:
        """Put back messages that were moved to this worker but never reached it; raises `redis.RedisError`.

        Call it only while no move is under way.
        """
        with self._lock:
            if not self._token:
                return
            held = [self._held.raw] if self._held is not None else []
            moved = self._scripts.recover(keys=[self.taken, self._keys.queue], args=held)
        if moved:
            _log.warning("%d messages that did not reach this worker were put back on the queue", moved)

    def take_now(self, token: int) -> bytes | None:
        """Take a message without waiting, even if Redis is out of memory; raises `redis.RedisError`."""
        raw: bytes | None = self._scripts.take_now(keys=[self._keys.queue, self._keys.taken(token)])
        return raw

    def admit(self, raw: bytes, token: int) -> Envelope | None:
        """Check a message that was moved to a token's list; None if there is nothing to run.

        A message that cannot be read, or was started too often, becomes a dead letter; one whose job has its result
        already is dropped; a suspect goes behind others. Raises `redis.RedisError`.
        """
        verdict = self._admission.judge(token, raw)
        if verdict.stray:
            # Both go back, in their order.
            self.recover()
        if verdict.refused:
            self._refused()
        if verdict.alone:
            self._paused_until_s = time.monotonic() + SUSPECT_PAUSE_S
        envelope = verdict.envelope
        if envelope is None:
            return None
        with self._lock:
            self._held = HeldMessage(envelope, raw, token)
        return envelope

    def claim(self, job_id: str) -> bool:
        """Mark the job's message as running; False if it may not run.

        It may not if the message is no longer in hand, if it was taken under a lease that is lost, if it runs already,
        or while the worker ends.
        """
        with self._lock:
            held = self._held
            if held is None or held.envelope.job_id != job_id or held.claimed or self._giving_back:
                return False
            if held.token != self._token:
                return False
            held.claimed = True
            self.begun += 1
            return True

    def returned(self, job_id: str) -> None:
        """Note that the task of the job has ended; what is left is to write its result and let go of its message."""
        held = self._in_hand(job_id)
        if held is not None:
            held.returned = True

    @property
    def idle(self) -> HeldMessage | None:
        """The message in hand if nothing works on it."""
        held = self._held
        return held if held is not None and held.idle and not self._giving_back else None

    def put_back_idle(self, held: HeldMessage) -> bool:
        """Put this message back if it is still in hand and idle, its start counted; returns whether it was."""
        with self._lock:
            if self._held is not held or self.idle is None:
                return False
            self._held = None
            self._lost_tags.add(held.envelope.tag)
        if not held.finished:
            self._ledger.put_back(held)
        return True

    def lost(self, tag: str) -> bool:
        """Return, once, that the message with this tag was put back without whoever received it."""
        if tag not in self._lost_tags:
            return False
        self._lost_tags.discard(tag)
        return True

    def finish(self, job_id: str, result: str) -> None:
        """Write the result of the job in hand and let go of its message, in one step.

        Retries while Redis is away or full, since nobody else has the result. A result that is already there stays.
        Once another worker has the lease, the result is refused, which is logged. Raises `redis.RedisError` only while
        the worker ends: the job is then put back, and no other result is accepted for it.
        """
        held = self._in_hand(job_id)
        if held is None or held.unwritten:
            _log.error("dropped a result of job %s: its message is not in hand, or is being put back", job_id)
            return
        held.writing = True
        try:
            done = self._ledger.finish(held, result)
        except redis.RedisError:
            held.unwritten = True
            raise
        finally:
            held.writing = False
        held.finished = True
        if not done:
            self._refused()
            _log.error("the result of job %s was refused: another worker has the lease on the track", job_id)

    def done(self, tag: str) -> None:
        """Let go of the message with this tag, if it is in hand."""
        held = self._release(tag)
        if held is not None and held.unwritten:
            self._ledger.put_back(held)
        elif held is not None and not held.finished:
            self._ledger.drop(held)

    def put_back(self, tag: str) -> None:
        """Put the message with this tag back, if it is in hand; its start counts unless the worker ends."""
        held = self._release(tag)
        if held is not None and not held.finished:
            self._ledger.put_back(held)

    def put_back_unclaimed(self, tag: str) -> None:
        """Put a message back whose task has not begun, since its connection was lost; its start counts."""
        with self._lock:
            held = self._held
            if held is None or held.envelope.tag != tag or held.claimed:
                return
            self._held = None
        self._ledger.put_back(held)

    def give_back(self) -> None:
        """Start nothing from now on, and have an operation that fails put back."""
        self._giving_back = True

    def close(self) -> None:
        """Put back what is in hand, and take no more; harmless when repeated. Raises `redis.RedisError`."""
        self._giving_back = True
        # The message that was taken last goes back first, which restores the queue's order.
        self.recover()
        with self._lock:
            held, self._held = self._held, None
        if held is not None and not held.finished:
            self._ledger.put_back(held)
        self.suspend()

    def _in_hand(self, job_id: str) -> HeldMessage | None:
        with self._lock:
            held = self._held
        return held if held is not None and held.envelope.job_id == job_id and not held.finished else None

    def _release(self, tag: str) -> HeldMessage | None:
        with self._lock:
            held = self._held
            if held is None or held.envelope.tag != tag:
                return None
            self._held = None
            return held


_inbox: Inbox | None = None


def provide(inbox: Inbox | None) -> None:
    """Set the inbox of this process's transport, result backend and tasks."""
    global _inbox  # noqa: PLW0603 - kombu and Celery build transports and backends by name, without our arguments
    _inbox = inbox


def current() -> Inbox | None:
    """Return this process's inbox, None where no worker is running."""
    return _inbox
