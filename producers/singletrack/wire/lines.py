"""A client's connections to Redis, each of which is told when another one of its process has gone silent."""

from typing import Any

import redis
from celery.backends.redis import RedisBackend

from singletrack_tasks.redis_address import tls_options
from singletrack_tasks.redis_silence import watched

PLAIN = watched(redis.Connection, redis.TimeoutError)
TLS = watched(redis.SSLConnection, redis.TimeoutError)
# The stubs omit what is set here.
_StockBackend: Any = RedisBackend


def connection_class(url: str) -> type[Any]:
    """Return the class of the connections to the server at a complete address."""
    return PLAIN if tls_options(url) is None else TLS


class ClientBackend(_StockBackend):  # type: ignore[misc] # see above
    """Celery's result backend with these connections."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connparams["connection_class"] = connection_class(self.url)
