"""Writes to Redis what becomes of a message in hand."""

import logging
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.commands.core import Script

from singletrack_tasks.keys import RESULT_TTL_S, Keys
from singletrack_worker.delivery.held_message import HeldMessage
from singletrack_worker.delivery.scripts import Scripts

_RETRY_S = 0.5
_log = logging.getLogger(__name__)


class Ledger:
    """Retries while Redis is away or full, but tries only once when the worker is `ending`.

    Each method raises `redis.RedisError` only then.
    """

    def __init__(self, keys: Keys, scripts: Scripts, ending: Callable[[], bool]) -> None:
        self._keys = keys
        self._scripts = scripts
        self._ending = ending

    def finish(self, held: HeldMessage, result: str) -> bool:
        """Write the result and let go of the message, in one step; False if another worker has the lease."""
        keys, job_id = self._keys, held.envelope.job_id
        names = [keys.fence, keys.taken(held.token), keys.result(job_id), keys.starts(job_id), *self._memory]
        return bool(self._insist(self._scripts.finish, names, [held.token, held.raw, result, RESULT_TTL_S, job_id]))

    def drop(self, held: HeldMessage) -> None:
        """Let go of a message without a result."""
        keys, job_id = self._keys, held.envelope.job_id
        names = [keys.taken(held.token), keys.starts(job_id), *self._memory]
        self._insist(self._scripts.drop, names, [held.raw, held.token, job_id])

    def put_back(self, held: HeldMessage) -> None:
        """Put a message back on the queue."""
        keys, job_id = self._keys, held.envelope.job_id
        names = [keys.taken(held.token), keys.queue, keys.starts(job_id), keys.hands]
        # Only the end of a worker says nothing about the job: whatever else sends it back counts as a start.
        uncounted = held.envelope.tag if self._ending() else ""
        if self._insist(self._scripts.put_back, names, [held.raw, uncounted, held.token]):
            _log.warning("job %s was put back on the queue", job_id)

    @property
    def _memory(self) -> tuple[str, str, str]:
        return self._keys.hands, self._keys.suspects, self._keys.condemned

    def _insist(self, script: Script, keys: list[str], args: list[Any]) -> Any:
        while True:
            try:
                return script(keys=keys, args=args)
            except redis.RedisError as error:
                if self._ending():
                    raise
                _log.warning("Redis did not accept a write, trying again: %s", error)
                time.sleep(_RETRY_S)
