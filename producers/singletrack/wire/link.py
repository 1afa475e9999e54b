"""A client's own connection to Redis: binary, thread-safe, with the server's clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from singletrack.wire.forks import renew_after_fork
from singletrack.wire.lines import connection_class
from singletrack.wire.redis_errors import reaching_redis, while_open
from singletrack.wire.settings import ClientSettings
from singletrack_tasks.keys import Keys
from singletrack_tasks.payload.blobs import BlobStore
from singletrack_tasks.redis_silence import REPLY_TIMEOUT_S

CLIENT_NAME = "singletrack-client"
# For so long a step of the server's clock may go unnoticed by what is sent.
_CLOCK_GOOD_FOR_S = 1.0


class RedisLink:
    """One client's link to one Redis server; connects on first use."""

    def __init__(self, settings: ClientSettings) -> None:
        self.url = settings.redis_address
        self.keys = Keys(settings.track)
        self._clock = _Clock()
        self._closed = False
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin anew in a child."""
        # One quick retry covers a connection that died of old age, and a refused one is reported at once.
        self.redis: redis.Redis = redis.Redis.from_url(
            self.url,
            connection_class=connection_class(self.url),
            socket_timeout=REPLY_TIMEOUT_S,
            socket_connect_timeout=REPLY_TIMEOUT_S,
            client_name=CLIENT_NAME,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
        )
        self.blobs = BlobStore(self.redis, self.keys)

    @contextmanager
    def reaching(self) -> Iterator[redis.Redis]:
        """Yield the redis-py client (bytes in, bytes out); raises the errors of `reaching_redis`.

        Raises `InvalidRequest` once the client is closed.
        """
        with while_open(lambda: self._closed), reaching_redis(self.url):
            yield self.redis

    def now_unix_s(self) -> float:
        """Give the time by the Redis server's clock, asking it at most once a second."""
        if (now := self._clock.now()) is not None:
            return now
        with self.reaching() as client:
            before_s = time.monotonic()
            answer: Any = client.time()
            return self._clock.set(answer, before_s)

    def saw_time(self, answer: tuple[int, int], asked_at_s: float) -> float:
        """Use the answer to a TIME that was sent with other commands at the monotonic time `asked_at_s`."""
        return self._clock.set(answer, asked_at_s)

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        self.redis.close()


def stream_entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the entries of the only stream in an answer to XREAD, which has another shape in RESP3."""
    if not answer:
        return []
    if isinstance(answer, dict):
        (streams,) = answer.values()
        return [entry for stream in streams for entry in stream]
    return list(answer[0][1])


class _Clock:
    """The server's Unix time, carried on by this machine's monotonic clock, which nobody sets."""

    def __init__(self) -> None:
        # The offset, and until when it is good: set in one step, without a lock, which a fork could leave held.
        self._set: tuple[float, float] | None = None

    def now(self) -> float | None:
        known, now_s = self._set, time.monotonic()
        if known is None or now_s > known[1]:
            return None
        return now_s + known[0]

    def set(self, answer: tuple[int, int], asked_at_s: float) -> float:
        seconds, microseconds = answer
        now_s = time.monotonic()
        offset_s = seconds + microseconds / 1e6 - (asked_at_s + now_s) / 2
        self._set = (offset_s, now_s + _CLOCK_GOOD_FOR_S)
        return now_s + offset_s
