"""Whether a job may start: not if it has ended, and not for ever if its workers die of it."""

import logging
from collections.abc import Container
from typing import NamedTuple

from singletrack_tasks.keys import STARTS_TTL_S, Keys
from singletrack_worker.delivery.dead_letter_box import DeadLetterBox
from singletrack_worker.delivery.envelope import Envelope, Unreadable, read
from singletrack_worker.delivery.scripts import Scripts

# However many workers died otherwise, a job is started no more often than this.
STARTS_HARD_MAX = 10
# Behind how many others a suspect waits: with more, its caller would give it up.
BEHIND_MAX = 100

_log = logging.getLogger(__name__)


class Verdict(NamedTuple):
    """What becomes of a message.

    It starts as `envelope`, unless that is None. `alone`: it is a suspect, and nothing waits that could run before it.
    `stray`: an earlier message has not arrived. `refused`: another worker has the lease.
    """

    envelope: Envelope | None = None
    alone: bool = False
    stray: bool = False
    refused: bool = False


_NOTHING_TO_RUN = Verdict()


class Admission:
    """Counts the starts of jobs, and holds back those that may be what their workers die of.

    A job with one start left is a suspect: once for each start it waits behind others, and starts then. The deaths of
    workers that had nothing or no suspect in hand excuse one of its starts each, up to `STARTS_HARD_MAX`.
    """

    def __init__(
        self, keys: Keys, scripts: Scripts, dead: DeadLetterBox, tasks: Container[str], starts_max: int
    ) -> None:
        self._keys = keys
        self._scripts = scripts
        self._dead = dead
        self._tasks = tasks
        self._starts_max = starts_max

    def judge(self, token: int, raw: bytes) -> Verdict:
        """Count a start of the job of a message in a token's list, or do with the message what is right instead.

        One that cannot be read, was started too often, or must not start becomes a dead letter. Raises
        `redis.RedisError`.
        """
        try:
            envelope = read(raw, self._tasks)
        except Unreadable as error:
            self._dead.put_unreadable(token, raw, error)
            return _NOTHING_TO_RUN
        word, starts, why = self._ask(token, raw, envelope)
        job_id = envelope.job_id
        match word:
            case "run":
                return Verdict(envelope)
            case "worn":
                self._dead.put_worn_out(token, raw, envelope, starts)
            case "condemned":
                self._dead.put_condemned(token, raw, envelope, starts, why)
            case "later":
                _log.warning("job %s was started %d times without an end: %s others go first", job_id, starts, why)
            case "over":
                _log.info("job %s is not started: it has ended, or its message was put back meanwhile", job_id)
        return Verdict(alone=(word, why) == ("later", "0"), stray=word == "stray", refused=word == "refused")

    def condemn(self, token: int, dead: int, why: str) -> str:
        """Let the job that a dead worker's token had in hand start no more; returns its id, '' if it had none.

        Raises `redis.RedisError`.
        """
        keys = self._keys
        job_id: bytes = self._scripts.condemn(
            keys=[keys.fence, keys.deaths, keys.condemned], args=[token, dead, keys.starts(""), why, STARTS_TTL_S]
        )
        return job_id.decode()

    def _ask(self, token: int, raw: bytes, envelope: Envelope) -> tuple[str, int, str]:
        """Return the script's verdict, how often the job was started, and what belongs to the verdict."""
        keys, job_id = self._keys, envelope.job_id
        job_keys = [keys.result(job_id), keys.starts(job_id)]
        word, starts, why = self._scripts.admit(
            keys=[
                *(keys.fence, keys.taken(token), keys.queue),
                *job_keys,
                *(keys.hands, keys.deaths, keys.suspects, keys.condemned),
            ],
            args=[
                *(token, raw, STARTS_TTL_S, envelope.tag, job_id),
                *(self._starts_max, STARTS_HARD_MAX, BEHIND_MAX, keys.starts("")),
            ],
        )
        return word.decode(), int(starts), why.decode("utf-8", "replace")
