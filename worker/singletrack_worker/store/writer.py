"""Writes to Redis that are refused once another worker has the track."""

import json
import logging
from collections.abc import Callable
from typing import Protocol

import redis

from singletrack_tasks.keys import Keys
from singletrack_worker.delivery.scripts import Scripts

_log = logging.getLogger(__name__)


class Writer(Protocol):
    """Writes to Redis while this worker has the track."""

    def write(self, *commands: tuple[str | int, ...]) -> bool:
        """Run the commands atomically; False if another worker has the track. Raises `redis.RedisError`."""


class FencedWriter:
    """Writes to Redis under the worker's fencing token, so that a worker that lost its lease changes nothing."""

    def __init__(self, client: redis.Redis, keys: Keys, scripts: Scripts, token: Callable[[], int]) -> None:
        self._redis = client
        self._keys = keys
        self._scripts = scripts
        self._token = token

    def write(self, *commands: tuple[str | int, ...]) -> bool:
        """Run the commands atomically if the token is still valid; returns whether they ran.

        Raises `redis.RedisError`.
        """
        done = self._scripts.write(
            keys=[self._keys.fence],
            args=[self._token(), json.dumps([[str(word) for word in command] for command in commands])],
            client=self._redis,
        )
        if not done:
            _log.error("a write was refused: another worker has the lease on the track")
        return bool(done)
