"""Kombu's connections to the broker, closed without a change to the process around them."""

import contextlib
from typing import Any

from kombu import connection as stock

# The stubs leave out the private methods that are called here, and that the one is a kind of the other.
_StockConnection: Any = stock.PooledConnection
_StockPool: Any = stock.ConnectionPool


class BrokerConnection(_StockConnection):  # type: ignore[misc] # see above
    """A connection whose end is nobody else's business."""

    def collect(self, socket_timeout: float | None = None) -> None:
        """Close what is open, and be ready to connect anew.

        Kombu makes `socket_timeout` the default of the whole process meanwhile, and for good where two threads close at
        once: from then on, the agent's own new sockets would time out after 0.1 s. The sockets that are closed here
        have time-outs of their own.
        """
        with contextlib.suppress(TimeoutError):
            self._do_close_self()
        self._do_close_transport()


class BrokerPool(_StockPool):  # type: ignore[misc] # see above
    """A pool of such connections."""

    def new(self) -> BrokerConnection:
        """Make one that connects when it is used first."""
        return BrokerConnection(self, **dict(self.connection._info(resolve=False)))  # noqa: SLF001 - as kombu's own does
