"""Connections to Redis that went silent without being closed: where one is found, the others of its process end too.

A NAT that forgot, a cable, a Wi-Fi that sleeps: nothing tells either end. A request notices it, since its reply does
not come; a connection that only listens never would. Both sides share this, so nothing here imports redis-py.
"""

import contextlib
import functools
import os
import socket
import sys
import time
import weakref
from typing import Any, ClassVar

# A server that has not replied for so long is taken for gone: longer than any request may block.
REPLY_TIMEOUT_S = 5.0
# For so long the kernel sends again what nobody acknowledges, or asks a quiet connection for a sign of life.
_KERNEL_GIVES_UP_S = 10
_PROBES = 3
_FIRST_PROBE_S, _PROBE_EVERY_S = 4, 2


@functools.cache
def tcp_options() -> dict[int, int]:
    """Return the options of TCP, by number, with which the kernel gives a silent connection up in 10 s.

    What this system does not have is left out.
    """
    wanted = {
        # The name that macOS has for it.
        "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE": _FIRST_PROBE_S,
        "TCP_KEEPINTVL": _PROBE_EVERY_S,
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": _KERNEL_GIVES_UP_S * 1000,
    }
    options = {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
    with socket.socket() as trial:
        return {option: value for option, value in options.items() if _accepts(trial, option, value)}


def _accepts(trial: socket.socket, option: int, value: int) -> bool:
    try:
        trial.setsockopt(socket.IPPROTO_TCP, option, value)
    except OSError:
        return False
    return True


class WatchedConnection:
    """What a connection of redis-py adds to be told of a silence; `watched` makes such classes."""

    # What is raised when a reply does not come in time, or a request cannot be sent in time.
    _LATE: ClassVar[type[Exception]]

    host: str
    port: int
    socket_keepalive: bool
    socket_keepalive_options: dict[int, int]
    _sock: socket.socket | None
    _heard_at_s = 0.0
    _opened_in = 0

    def _connect(self) -> Any:
        self.socket_keepalive, self.socket_keepalive_options = True, tcp_options()
        opened: Any = super()._connect()  # type: ignore[misc] # redis-py's, as in the other methods
        self._heard_at_s, self._opened_in = time.monotonic(), os.getpid()
        _note(self)
        return opened

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply; one that does not come in time ends all connections that have been silent since."""
        asked_at_s = time.monotonic()
        try:
            answer = super().read_response(*args, **options)  # type: ignore[misc]
        except self._LATE:
            # Who gives a time-out of its own waits for something that may not come.
            if "timeout" not in options:
                self._tell_others(asked_at_s)
            raise
        self._heard_at_s = time.monotonic()
        return answer

    def send_packed_command(self, *args: Any, **options: Any) -> Any:
        """Send a request; one that cannot be sent in time counts as one without a reply."""
        asked_at_s = time.monotonic()
        try:
            return super().send_packed_command(*args, **options)  # type: ignore[misc]
        except self._LATE:
            self._tell_others(asked_at_s)
            raise

    def _tell_others(self, since_s: float) -> None:
        for other in _opened():
            if other is not self and (other.host, other.port) == (self.host, self.port):
                other._hang_up_if_silent(since_s)  # noqa: SLF001 - of this class

    def _hang_up_if_silent(self, since_s: float) -> None:
        """Wake whoever waits at this connection, with an error; the next request connects again."""
        line = self._sock
        # What was open at a fork is the parent's as well, and this would end it there too.
        if line is None or self._heard_at_s >= since_s or self._opened_in != os.getpid():
            return
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which would take the session from under its reader.
            socket.socket.shutdown(line, socket.SHUT_RDWR)


@functools.cache
def watched(base: type, late: type[Exception]) -> type[Any]:
    """Make the class of the watched connections from one of redis-py's; `late` is its time-out error."""
    return type(f"Watched{base.__name__}", (WatchedConnection, base), {"_LATE": late})


# Without a lock, which a fork could leave held: each step below is one step for the interpreter.
_connections: dict[int, "weakref.ref[WatchedConnection]"] = {}


def _note(connection: WatchedConnection) -> None:
    number = id(connection)
    _connections[number] = weakref.ref(connection, lambda _: _connections.pop(number, None))


def _opened() -> list[WatchedConnection]:
    return [connection for known in list(_connections.values()) if (connection := known()) is not None]
