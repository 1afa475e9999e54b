"""The worker's own connection to Redis, beside Celery's."""

import time
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from singletrack_tasks.errors import RedisUnavailable
from singletrack_worker.settings import GPUResourceConfig

SOCKET_TIMEOUT_S = 5.0


def connect(config: GPUResourceConfig) -> redis.Redis:
    """Connect, bytes in and bytes out; raises `RedisUnavailable`, which says what to do."""
    client = redis.Redis.from_url(
        config.redis_url.get_secret_value(),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        health_check_interval=5,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
        client_name="singletrack-state",
    )
    try:
        client.ping()
    except redis.RedisError as error:
        raise RedisUnavailable(
            f"Redis does not answer: {str(error).rstrip('.')}. "
            "Check SINGLETRACK_REDIS_URL, its password, and that the server runs."
        ) from error
    return client


def server_offset_s(client: redis.Redis) -> float:
    """Measure how far the Redis server's clock is ahead of ours, in seconds, to half a round trip."""
    before = time.time()
    now: Any = client.time()
    seconds, microseconds = now
    after = time.time()
    return float(seconds + microseconds / 1e6 - (before + after) / 2)
