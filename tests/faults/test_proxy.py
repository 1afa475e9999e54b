"""The proxy: it forwards, it goes silent without closing anything, and what it held back comes once it is thawed."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from singletrack_ops.local.loopback import LOOPBACK
from tests.faults.proxy import Proxy

SILENT_S = 0.3
LIMIT_S = 10


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it is sent."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(1024):
                    connection.sendall(data)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT_S)


@pytest.fixture
def proxy(echo_port: int) -> Iterator[Proxy]:
    with Proxy(echo_port) as made:
        yield made


@pytest.fixture
def line(proxy: Proxy) -> Iterator[socket.socket]:
    with connect(proxy) as made:
        assert echo(made, b"one") == b"one"
        yield made


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=LIMIT_S)


def echo(line: socket.socket, data: bytes, limit_s: float = LIMIT_S) -> bytes:
    line.settimeout(limit_s)
    line.sendall(data)
    return line.recv(1024)


def test_a_frozen_line_is_silent_and_open(proxy: Proxy, line: socket.socket) -> None:
    proxy.freeze()
    with pytest.raises(TimeoutError):
        echo(line, b"two", SILENT_S)
    proxy.thaw(old_ones_too=True)
    line.settimeout(LIMIT_S)
    assert line.recv(1024) == b"two"


def test_a_line_can_stay_silent_while_new_ones_work(proxy: Proxy, line: socket.socket) -> None:
    proxy.freeze()
    proxy.thaw(old_ones_too=False)
    with pytest.raises(TimeoutError):
        echo(line, b"two", SILENT_S)
    with connect(proxy) as other:
        assert echo(other, b"three") == b"three"


def test_a_line_that_was_opened_in_the_silence_works_after_it(proxy: Proxy) -> None:
    proxy.freeze()
    with connect(proxy) as line:
        with pytest.raises(TimeoutError):
            echo(line, b"one", SILENT_S)
        proxy.thaw(old_ones_too=False)
        line.settimeout(LIMIT_S)
        assert line.recv(1024) == b"one"
