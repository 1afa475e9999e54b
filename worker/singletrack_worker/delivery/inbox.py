"""Where the worker's messages come from: each is on the queue or in one holder's hands, and leaves with its result."""

import json
import logging
import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from redis.commands.core import Script

from singletrack_tasks.dead_letter import DeadCode, DeadLetter
from singletrack_tasks.errors import DeadLettered
from singletrack_tasks.events import TaskDead
from singletrack_tasks.keys import DEAD_MAX, DEAD_TTL_S, EVENTS_MAX, EVENTS_TTL_S, RESULT_TTL_S, STARTS_TTL_S, Keys
from singletrack_worker.delivery.envelope import Envelope, Unreadable, read
from singletrack_worker.delivery.scripts import Scripts

# How often a job is begun: one that was begun so often and never ended has killed its worker each time.
STARTS_MAX = 3
# A list of messages of a holder that took its lease so long ago is looked at no more.
HOLDER_FORGOTTEN_S = 24 * 3600
_RETRY_S = 0.5
# What the script says of a list with more in it than the one message that was just moved there.
_STRAY = -2
_log = logging.getLogger(__name__)


@dataclass
class Held:
    """A message in this worker's hands: taken under a token, claimed once its task begins to run.

    `finished` once its result is written, `unwritten` if there is one that Redis did not take at the worker's end.
    """

    envelope: Envelope
    raw: bytes
    token: int
    claimed: bool = False
    finished: bool = False
    unwritten: bool = False


class Inbox:
    """The messages of a track, one at a time.

    Taking moves a message from the queue to the list of the holder's token, in one step of Redis; it leaves that list
    in the same step as its result is written. What is found in the list of another token, or in the own one without
    being held, is put back to the queue. Safe to use from several threads.
    """

    def __init__(
        self,
        keys: Keys,
        scripts: Scripts,
        *,
        host: str,
        tasks: Container[str],
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        """Take nothing yet; `refused` is called when a write shows that another worker has the lease."""
        self._keys = keys
        self._scripts = scripts
        self._host = host
        self._tasks = tasks
        self._lock = threading.RLock()
        self._token = 0
        self._held: Held | None = None
        self._giving_back = False
        self._refused = refused

    @property
    def queue(self) -> str:
        """The key that messages are taken from."""
        return self._keys.queue

    @property
    def token(self) -> int:
        """The token that messages are taken under, 0 while none may be."""
        return self._token

    @property
    def taken(self) -> str:
        """The key that they are moved to."""
        return self._keys.taken(self._token)

    @property
    def ready(self) -> bool:
        """Whether a message may be taken: under a lease, with none in hand."""
        return self._token != 0 and self._held is None and not self._giving_back

    @property
    def giving_back(self) -> bool:
        """Whether what ends with an error now is to be put back, since the worker ends."""
        return self._giving_back

    def open(self, token: int) -> int:
        """Take messages under this token from now on, and put back what earlier holders left; returns how many.

        Raises `redis.RedisError`.
        """
        with self._lock:
            self._token = token
        return self.sweep()

    def suspend(self) -> None:
        """Take no more messages; the one in hand goes on, and what it writes is refused."""
        with self._lock:
            self._token = 0

    def sweep(self) -> int:
        """Put back what other holders have in hand, since their lease is over; returns how many messages.

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
            _log.warning("%d messages that an earlier worker had taken are on the queue again", moved)
        return max(0, moved)

    def recover(self) -> None:
        """Put back what was moved to this worker and never reached it; raises `redis.RedisError`.

        Only to be called while no move is under way.
        """
        with self._lock:
            if not self._token:
                return
            held = [self._held.raw] if self._held is not None else []
            moved = self._scripts.recover(keys=[self.taken, self._keys.queue], args=held)
        if moved:
            _log.warning("%d messages that did not reach this worker are on the queue again", moved)

    def take_now(self, token: int) -> bytes | None:
        """Take a message without waiting, also where Redis is out of memory; raises `redis.RedisError`."""
        raw: bytes | None = self._scripts.take_now(keys=[self._keys.queue, self._keys.taken(token)])
        return raw

    def admit(self, raw: bytes, token: int) -> Envelope | None:
        """Look at a message that was moved to the list of a token; None if there is nothing to run.

        Raises `redis.RedisError`.
        One that cannot be read, or that was begun too often, is buried; one whose result is there already is dropped.
        """
        try:
            envelope = read(raw, self._tasks)
        except Unreadable as error:
            self._bury(token, raw, "unreadable", error.reason, error.job_id, error.task, starts=0)
            return None
        starts = self._begin(token, raw, envelope)
        if starts > STARTS_MAX:
            self._bury_worn_out(token, raw, envelope)
            return None
        if starts <= 0:
            return None
        with self._lock:
            self._held = Held(envelope, raw, token)
        return envelope

    def claim(self, job_id: str) -> bool:
        """Say that the task of the message in hand begins; False if the message is no longer in hand."""
        with self._lock:
            held = self._held
            if held is None or held.envelope.job_id != job_id or held.claimed or self._giving_back:
                return False
            held.claimed = True
            return True

    def finish(self, job_id: str, result: str) -> None:
        """Write the result of the job in hand and let go of its message, in one step.

        A Redis that is away or full is waited for, since nobody else has the result. A result that is there already
        stays. Refused, which is logged, once another worker has the lease. Raises `redis.RedisError` at the worker's
        end alone: the job is put back then, and no other result of it is taken.
        """
        held = self._in_hand(job_id)
        if held is None or held.unwritten:
            _log.error("a result of job %s is dropped: its message is not in this worker's hands, or goes back", job_id)
            return
        keys = self._keys
        try:
            done = self._insist(
                self._scripts.finish,
                [keys.fence, keys.taken(held.token), keys.result(job_id), keys.starts(job_id)],
                [held.token, held.raw, result, RESULT_TTL_S],
            )
        except redis.RedisError:
            held.unwritten = True
            raise
        held.finished = True
        if not done:
            self._refused()
            _log.error("the result of job %s was refused: another worker has the lease on the track", job_id)

    def done(self, tag: str) -> None:
        """Let go of the message with that tag, if it is in hand."""
        held = self._release(tag)
        if held is not None and held.unwritten:
            self._put_back(held)
        elif held is not None and not held.finished:
            job_id = held.envelope.job_id
            self._insist(self._scripts.drop, [self._keys.taken(held.token), self._keys.starts(job_id)], [held.raw])

    def put_back(self, tag: str) -> None:
        """Put the message with that tag back to where it came from, if it is in hand, and do not count its start."""
        held = self._release(tag)
        if held is not None and not held.finished:
            self._put_back(held)

    def put_back_unclaimed(self, tag: str) -> None:
        """Put a message back whose task has not begun: its connection went before it could."""
        with self._lock:
            held = self._held
            if held is None or held.envelope.tag != tag or held.claimed:
                return
            self._held = None
        self._put_back(held)

    def give_back(self) -> None:
        """From now on, begin nothing, and have what ends with an error put back."""
        self._giving_back = True

    def close(self) -> None:
        """Put back what is in hand, and take no more; harmless when repeated. Raises `redis.RedisError`."""
        self._giving_back = True
        # What was taken last goes back first: the queue is as it was.
        self.recover()
        with self._lock:
            held, self._held = self._held, None
        if held is not None and not held.finished:
            self._put_back(held)
        self.suspend()

    def _begin(self, token: int, raw: bytes, envelope: Envelope) -> int:
        """Count a start; 0 or less if there is none.

        The job has ended, the message is another's, the lease is, or a message that was moved here and never arrived
        comes first: then both go back in their order.
        """
        keys, job_id = self._keys, envelope.job_id
        starts = int(
            self._scripts.admit(
                keys=[keys.fence, keys.taken(token), keys.queue, keys.result(job_id), keys.starts(job_id)],
                args=[token, raw, STARTS_TTL_S, envelope.tag],
            )
        )
        if starts == _STRAY:
            self.recover()
        elif starts < 0:
            self._refused()
        elif starts == 0:
            _log.info("job %s is not begun: it has ended already, or its message was put back meanwhile", job_id)
        return starts

    def _bury_worn_out(self, token: int, raw: bytes, envelope: Envelope) -> None:
        reason = (
            f"job {envelope.job_id} ({envelope.task}) was begun {STARTS_MAX} times and never ended: each time its "
            "worker died or was killed. See the worker's log, then `singletrack dead retry` or `drop`."
        )
        self._bury(token, raw, "worn_out", reason, envelope.job_id, envelope.task, starts=STARTS_MAX)

    def _bury(
        self, token: int, raw: bytes, code: DeadCode, reason: str, job_id: str | None, task: str | None, *, starts: int
    ) -> None:
        """Put a message aside, and tell its caller."""
        now = time.time()
        letter = DeadLetter.of(
            raw, code, reason, at_unix_s=now, host=self._host, job_id=job_id, task=task, starts=starts
        )
        keys = self._keys
        self._scripts.bury(
            keys=[keys.taken(token), keys.dead, keys.result(job_id or ""), keys.starts(job_id or ""), keys.events],
            args=[
                raw,
                letter.model_dump_json(),
                DEAD_MAX,
                DEAD_TTL_S,
                failure(job_id, letter) if job_id else "",
                RESULT_TTL_S,
                _told(letter).model_dump_json(),
                EVENTS_MAX,
                EVENTS_TTL_S,
            ],
        )
        _log.error("a message was put aside (%s): %s", code, letter.reason)

    def _in_hand(self, job_id: str) -> Held | None:
        with self._lock:
            held = self._held
        return held if held is not None and held.envelope.job_id == job_id and not held.finished else None

    def _release(self, tag: str) -> Held | None:
        with self._lock:
            held = self._held
            if held is None or held.envelope.tag != tag:
                return None
            self._held = None
            return held

    def _put_back(self, held: Held) -> None:
        keys, job_id = self._keys, held.envelope.job_id
        lists = [keys.taken(held.token), keys.queue, keys.starts(job_id)]
        self._insist(self._scripts.put_back, lists, [held.raw, held.envelope.tag])
        _log.warning("job %s is on the queue again", job_id)

    def _insist(self, script: Script, keys: list[str], args: list[Any]) -> Any:
        """Run a script until Redis has taken it; once the worker ends, one try has to do."""
        while True:
            try:
                return script(keys=keys, args=args)
            except redis.RedisError as error:
                if self._giving_back:
                    raise
                _log.warning("Redis did not take what this worker has to write; once more: %s", error)
                time.sleep(_RETRY_S)


def failure(job_id: str, letter: DeadLetter) -> str:
    """The result, as Celery's backend writes it, that tells the caller of a job that it was put aside."""
    error = DeadLettered(letter.reason, {"code": letter.code, "starts": letter.starts})
    return json.dumps(
        {
            "status": "FAILURE",
            "result": {
                "exc_type": type(error).__name__,
                "exc_message": list(error.args),
                "exc_module": type(error).__module__,
            },
            "traceback": None,
            "children": [],
            "date_done": datetime.now(UTC).isoformat(),
            "task_id": job_id,
        }
    )


def _told(letter: DeadLetter) -> TaskDead:
    return TaskDead(
        at_unix_s=letter.at_unix_s,
        job_id=letter.job_id,
        code=letter.code,
        task=letter.task,
        reason=letter.reason,
        starts=letter.starts,
    )


_inbox: Inbox | None = None


def provide(inbox: Inbox | None) -> None:
    """Give the transport, the result backend and the tasks of this process their inbox; the worker does so."""
    global _inbox  # noqa: PLW0603 - kombu and Celery build transports and backends by name: nothing can be handed over
    _inbox = inbox


def current() -> Inbox | None:
    """Return this process's inbox, None in a process that is no worker, or no longer."""
    return _inbox
