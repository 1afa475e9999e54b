"""HTTP connections to an Ollama server, some of which another thread can cut."""

import contextlib
import socket
import threading
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from singletrack_tasks.ollama_address import is_this_machine


class Hangup:
    """Cuts one connection from another thread at any moment, even before it is made or has answered.

    A connection that is being made is cut as soon as it stands, hence within the connect time-out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._cut = False

    def hold(self, sock: socket.socket) -> None:
        """Take charge of a connection that was made."""
        with self._lock:
            self._sock = sock
            cut = self._cut
        if cut:
            _shut_down(sock)

    def cut(self) -> None:
        """Cut the connection, or the one to come; safe from any thread, and more than once."""
        with self._lock:
            self._cut = True
            sock = self._sock
        if sock is not None:
            _shut_down(sock)


def open_session(url: str, hangup: Hangup | None = None) -> requests.Session:
    """Return a session for the server at `url`; a `hangup` takes charge of every connection that it makes."""
    session = requests.Session()
    session.trust_env = not is_this_machine(url)  # a proxy cannot reach it under that name
    if hangup is not None:
        session.mount("http://", _CuttableAdapter(hangup))
        session.mount("https://", _CuttableAdapter(hangup))
    return session


class _CuttableAdapter(HTTPAdapter):
    """Puts every connection that it makes, through a proxy or not, in the charge of a `Hangup`."""

    def __init__(self, hangup: Hangup) -> None:
        self._pool_classes = _pool_classes(hangup)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager


def _pool_classes(hangup: Hangup) -> dict[str, type[HTTPConnectionPool]]:
    """Derive urllib3's classes so that `hangup` holds each connection from the moment it stands."""

    class Http(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            hangup.hold(self.sock)

    class Https(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            hangup.hold(self.sock)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}


def _shut_down(sock: socket.socket) -> None:
    """Wake whoever reads or writes: a plain `close` would leave that thread waiting."""
    with contextlib.suppress(OSError):  # either side has closed it already
        # The plain socket's method: a TLS socket's own would drop the TLS state while another thread reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
