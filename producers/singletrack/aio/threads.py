"""The threads in which an asyncio client's calls wait."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from singletrack.wire.forks import renew_after_fork
from singletrack.wire.redis_errors import client_closed


class Threads:
    """The threads of one client in one process, `most` of them for calls."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.closed = False
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin anew in a child."""
        self.calls = ThreadPoolExecutor(self._most, thread_name_prefix="singletrack")
        # Waiting calls may hold all other threads: cancelling has one of its own.
        self._cancels = ThreadPoolExecutor(1, thread_name_prefix="singletrack-cancel")

    def check_open(self) -> None:
        """Raise `InvalidRequest` once the client is closed, or is being closed."""
        if self.closed:
            raise client_closed()

    def cancel(self, call_off: Callable[[], None]) -> None:
        """Call jobs off in the background; once the client is closed, their deadlines end them."""
        with contextlib.suppress(RuntimeError):
            self._cancels.submit(call_off)

    def close(self) -> None:
        """Wait for the running calls; those that wait for a thread are cancelled."""
        self.calls.shutdown(cancel_futures=True)
        self._cancels.shutdown()
