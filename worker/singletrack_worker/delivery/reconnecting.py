"""Kombu's connections, made to look for a lost Redis every two seconds instead of ever more rarely."""

from typing import Any

import kombu
from celery.app.amqp import AMQP

RECONNECT_EVERY_S = 2.0
# For connections of kombu's pools, which are of a class of their own.
RECONNECT_OPTIONS = {"interval_start": 0.2, "interval_step": 0.5, "interval_max": RECONNECT_EVERY_S}

# The stubs omit the private method that is overridden here.
_StockConnection: Any = kombu.Connection


class TrackConnection(_StockConnection):  # type: ignore[misc] # see above
    """A connection whose pauses between two tries do not grow to half a minute."""

    def _ensure_connection(
        self,
        errback: Any = None,
        max_retries: int | None = None,
        interval_start: float = RECONNECT_EVERY_S,
        interval_step: float = 0,
        interval_max: float = RECONNECT_EVERY_S,
        *rest: Any,
        **options: Any,
    ) -> Any:
        most_s = min(interval_max, RECONNECT_EVERY_S)
        return super()._ensure_connection(
            errback, max_retries, min(interval_start, most_s), interval_step, most_s, *rest, **options
        )


class TrackAMQP(AMQP):
    """Celery's side of the broker, with these connections."""

    Connection = TrackConnection
    BrokerConnection = TrackConnection
