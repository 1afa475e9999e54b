"""Kombu's connections to the broker, closed without a change to the process around them."""

import contextlib
from typing import Any

from kombu import connection as stock

# The stubs lack the private methods that are called here, and the bases of these classes.
_StockConnection: Any = stock.PooledConnection
_StockPool: Any = stock.ConnectionPool


class BrokerConnection(_StockConnection):  # type: ignore[misc] # see above
    """A connection whose closing changes nothing else in the process."""

    def collect(self, socket_timeout: float | None = None) -> None:
        """Close what is open, ready to connect again.

        Kombu makes `socket_timeout` the default of the whole process meanwhile, and for good where two threads close at
        once: from then on, the agent's own new sockets would time out after 0.1 s. The sockets that are closed here
        have time-outs of their own.
        """
        with contextlib.suppress(TimeoutError):
            self._do_close_self()
        self._do_close_transport()


class BrokerPool(_StockPool):  # type: ignore[misc] # see above
    """A pool of such connections, which Celery's own processes leave alone when they fork: a new one is made there."""

    close_after_fork = False

    def new(self) -> BrokerConnection:
        """Make a connection that connects on first use."""
        return BrokerConnection(self, **dict(self.connection._info(resolve=False)))  # noqa: SLF001 - as kombu's own does
