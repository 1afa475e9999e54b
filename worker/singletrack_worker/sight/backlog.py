"""Reads what the metrics show of Redis: waiting jobs, dead letters, the published status."""

import logging
import re
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from singletrack_tasks.keys import Keys
from singletrack_tasks.queue_survey import Survey
from singletrack_tasks.status import GPUResourceStatus, QueueStatus
from singletrack_worker.settings import GPUResourceConfig

# A scraper gives up after seconds, and a Redis that is away must not hold up the worker's other metrics.
TIMEOUT_S = 0.5
_TAKEN = re.compile(rb'"taken_unix_s":\s*([0-9.]+)')
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backlog:
    """What Redis held at one moment; `snapshot_age_s` is that of the published status, None without one."""

    now_unix_s: float
    survey: Survey
    dead_letters: int
    snapshot_age_s: float | None

    def queue(self, status: GPUResourceStatus) -> QueueStatus:
        """Summarise the waiting jobs."""
        return self.survey.status(self.now_unix_s, status)


class BacklogReader:
    """Reads the backlog of one track, over a connection of its own with a short timeout."""

    def __init__(self, config: GPUResourceConfig) -> None:
        self._keys: Keys = config.keys
        self._away = False
        self._redis = redis.Redis.from_url(
            config.redis_address,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # One retry, since the server may have closed an idle connection.
            retry=Retry(NoBackoff(), 1),
            client_name="singletrack-metrics",
        )

    def read(self) -> Backlog | None:
        """Read it in one round trip; None while Redis does not answer."""
        pipe: Any = self._redis.pipeline(transaction=False)
        pipe.time().get(self._keys.status).xlen(self._keys.dead).eval(*Survey.command(self._keys.queue))
        try:
            clock, published, dead_letters, survey = pipe.execute()
        except redis.RedisError as error:
            self._tell(away=True, why=str(error))
            return None
        self._tell(away=False)
        now_unix_s = clock[0] + clock[1] / 1e6
        return Backlog(now_unix_s, Survey.read(survey), int(dead_letters), _age_s(published, now_unix_s))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _tell(self, *, away: bool, why: str = "") -> None:
        """Log once that Redis went away."""
        if away and not self._away:
            _log.warning("the metrics omit the queue while Redis does not answer: %s", why)
        self._away = away


def _age_s(published: bytes | None, now_unix_s: float) -> float | None:
    found = _TAKEN.search(published or b"")
    return None if found is None else max(0.0, now_unix_s - float(found[1]))
