"""The worker's own connection to Redis, beside Celery's."""

import time
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable
from singletrack_tasks.redis_address import tls_advice
from singletrack_tasks.redis_silence import REPLY_TIMEOUT_S
from singletrack_worker.delivery.lines import line_class
from singletrack_worker.gpu.clock import TimeReading
from singletrack_worker.settings import GPUResourceConfig


def connect(config: GPUResourceConfig) -> redis.Redis:
    """Connect, with bytes in and out; raises `RedisUnavailable`, or `InvalidConfiguration` if TLS is in the way."""
    client = redis.Redis.from_url(
        config.redis_address,
        connection_class=line_class(config.redis_address),
        socket_timeout=REPLY_TIMEOUT_S,
        socket_connect_timeout=REPLY_TIMEOUT_S,
        health_check_interval=5,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
        client_name="singletrack-state",
    )
    try:
        client.ping()
    except redis.RedisError as error:
        if (advice := tls_advice(str(error))) is not None:
            raise InvalidConfiguration(f"Redis {advice}") from error
        raise RedisUnavailable(
            f"Redis does not answer: {str(error).rstrip('.')}. "
            "Check SINGLETRACK_REDIS_URL, its password, and that the server is running."
        ) from error
    return client


def read_time(client: redis.Redis) -> TimeReading | None:
    """Read the Redis server's clock, exact to a round trip; None if it cannot be reached."""
    asked_s = time.monotonic()
    try:
        now: Any = client.time()
    except redis.RedisError:
        return None
    seconds, microseconds = now
    return TimeReading(seconds + microseconds / 1e6, asked_s, time.monotonic())


def server_time_unix_s(client: redis.Redis) -> float:
    """Return the Redis server's Unix time in seconds, exact to half a round trip; raises `redis.RedisError`."""
    asked_s = time.monotonic()
    now: Any = client.time()
    seconds, microseconds = now
    return float(seconds + microseconds / 1e6 + (time.monotonic() - asked_s) / 2)
