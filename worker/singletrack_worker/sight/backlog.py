"""What lies in Redis for a worker, looked at for its metrics: jobs that wait, dead letters, the status it published."""

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

# Whoever scrapes gives up after seconds, and what Redis does not know must not keep what the worker knows.
TIMEOUT_S = 0.5
_TAKEN = re.compile(rb'"taken_unix_s":\s*([0-9.]+)')
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backlog:
    """What was there: the age is that of the published status, in seconds, None where there is none."""

    now_unix_s: float
    survey: Survey
    dead_letters: int
    snapshot_age_s: float | None

    def queue(self, status: GPUResourceStatus) -> QueueStatus:
        """Put the jobs that wait into figures."""
        return self.survey.status(self.now_unix_s, status)


class BacklogReader:
    """Reads the backlog of one track, over a connection of its own that gives up soon."""

    def __init__(self, config: GPUResourceConfig) -> None:
        self._keys: Keys = config.keys
        self._away = False
        self._redis = redis.Redis.from_url(
            config.redis_url.get_secret_value(),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # Once more: a connection that lay idle may have been closed at the other end.
            retry=Retry(NoBackoff(), 1),
            client_name="singletrack-metrics",
        )

    def read(self) -> Backlog | None:
        """Look, in one round trip; None while Redis does not answer."""
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
        """End the connection."""
        self._redis.close()

    def _tell(self, *, away: bool, why: str = "") -> None:
        """Log what changed, once."""
        if away and not self._away:
            _log.warning("the metrics leave out the queue while Redis does not answer: %s", why)
        self._away = away


def _age_s(published: bytes | None, now_unix_s: float) -> float | None:
    found = _TAKEN.search(published or b"")
    return None if found is None else max(0.0, now_unix_s - float(found[1]))
