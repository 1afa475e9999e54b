"""Dead letters: messages that are put aside instead of being run (again), each with an error for its caller."""

import json
import logging
import time
from datetime import UTC, datetime

from singletrack_tasks.dead_letter import DeadCode, DeadLetter
from singletrack_tasks.errors import DeadLettered
from singletrack_tasks.events import TaskDead
from singletrack_tasks.keys import DEAD_MAX, DEAD_TTL_S, EVENTS_MAX, EVENTS_TTL_S, RESULT_TTL_S, Keys
from singletrack_worker.delivery.envelope import Envelope, Unreadable
from singletrack_worker.delivery.scripts import Scripts

_log = logging.getLogger(__name__)


class DeadLetterBox:
    """Puts messages aside that this worker, on `host`, has taken under a token."""

    def __init__(self, keys: Keys, scripts: Scripts, host: str) -> None:
        self._keys = keys
        self._scripts = scripts
        self._host = host

    def put_unreadable(self, token: int, raw: bytes, error: Unreadable) -> None:
        """Put aside a message that cannot be read; raises `redis.RedisError`."""
        letter = DeadLetter.of(
            raw,
            "unreadable",
            error.reason,
            at_unix_s=time.time(),
            host=self._host,
            job_id=error.identity.job_id,
            task=error.identity.task,
        )
        self._put(token, raw, letter, error.identity.answer_id)

    def put_worn_out(self, token: int, raw: bytes, envelope: Envelope, starts: int) -> None:
        """Put aside a message whose job was started so often and never ended; raises `redis.RedisError`."""
        reason = (
            f"job {envelope.job_id} ({envelope.task}) was started {starts} times and never ended: each time its worker "
            "died, was killed, or lost it. See the worker's log, then `singletrack dead retry` or `drop`."
        )
        self._put_known(token, raw, envelope, "worn_out", reason, starts)

    def put_condemned(self, token: int, raw: bytes, envelope: Envelope, starts: int, why: str) -> None:
        """Put aside a message whose job must not start again; raises `redis.RedisError`."""
        reason = (
            f"job {envelope.job_id} ({envelope.task}) {why}. See the traceback, then `singletrack dead retry` "
            "or `drop`."
        )
        self._put_known(token, raw, envelope, "frozen", reason, starts)

    def _put_known(self, token: int, raw: bytes, envelope: Envelope, code: DeadCode, reason: str, starts: int) -> None:
        letter = DeadLetter.of(
            raw,
            code,
            reason,
            at_unix_s=time.time(),
            host=self._host,
            job_id=envelope.job_id,
            task=envelope.task,
            starts=starts,
        )
        self._put(token, raw, letter, envelope.job_id)

    def _put(self, token: int, raw: bytes, letter: DeadLetter, answer_id: str | None) -> None:
        """Put a letter away, and its error under the id that its caller waits for, if there is one."""
        keys, job_id = self._keys, answer_id or ""
        self._scripts.bury(
            keys=[
                keys.taken(token),
                keys.dead,
                keys.result(job_id),
                keys.starts(job_id),
                keys.events,
                keys.deaths,
                keys.suspects,
                keys.condemned,
            ],
            args=[
                raw,
                letter.model_dump_json(),
                DEAD_MAX,
                DEAD_TTL_S,
                _failure(job_id, letter) if job_id else "",
                RESULT_TTL_S,
                _event(letter).model_dump_json(),
                EVENTS_MAX,
                EVENTS_TTL_S,
                job_id,
            ],
        )
        _log.error("a message became a dead letter (%s): %s", letter.code, letter.reason)


def _failure(job_id: str, letter: DeadLetter) -> str:
    """The result that tells a job's caller, as Celery's backend would write it."""
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


def _event(letter: DeadLetter) -> TaskDead:
    return TaskDead(
        at_unix_s=letter.at_unix_s,
        job_id=letter.job_id,
        code=letter.code,
        task=letter.task,
        reason=letter.reason,
        starts=letter.starts,
    )
