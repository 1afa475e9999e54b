"""The connections to Redis of this side's processes, each of which is told when another one has gone silent."""

from typing import Any

import redis

from singletrack_tasks.redis_address import tls_options
from singletrack_tasks.redis_silence import watched

PLAIN_LINE = watched(redis.Connection, redis.TimeoutError)
TLS_LINE = watched(redis.SSLConnection, redis.TimeoutError)


def line_class(url: str) -> type[Any]:
    """Return the class of the connections to the server at a complete address."""
    return PLAIN_LINE if tls_options(url) is None else TLS_LINE
