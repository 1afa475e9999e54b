"""A TCP proxy on loopback that can go silent without closing anything: a half-open connection, seen from both ends."""

import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import Self

from singletrack_ops.local.loopback import LOOPBACK

_CHUNK = 65536
_LOOK_S = 0.05


class Proxy:
    """Forwards to one port from a port of its own."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._stopped = threading.Event()
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._pairs: list[_Pair] = []
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def freeze(self) -> None:
        """Forward nothing any more, in neither direction, for connections that are there and for new ones."""
        with self._lock:
            self._flows.clear()
            for pair in self._pairs:
                pair.flows.clear()

    def thaw(self, *, old_ones_too: bool) -> None:
        """Forward again; the connections that were there stay silent for ever unless `old_ones_too`."""
        with self._lock:
            self._flows.set()
            for pair in self._pairs:
                if old_ones_too or pair.born_frozen:
                    pair.flows.set()

    def stop(self) -> None:
        """Close everything."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            # To close it does not wake the thread that accepts.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection((LOOPBACK, self._target_port), timeout=5)
        except OSError:
            near.close()
            return
        with self._lock:
            pair = _Pair(near, far, flows=self._flows.is_set())
            self._pairs = [other for other in self._pairs if not other.closed.is_set()]
            self._pairs.append(pair)
        threading.Thread(target=pair.run, args=(self._stopped,), name="proxy", daemon=True).start()


class _Pair:
    """One connection, in its two halves."""

    def __init__(self, near: socket.socket, far: socket.socket, *, flows: bool) -> None:
        self._other = {near: far, far: near}
        self.flows = threading.Event()
        self.born_frozen = not flows
        self.closed = threading.Event()
        if flows:
            self.flows.set()

    def run(self, stopped: threading.Event) -> None:
        """Forward until one end closes; an end that closes while nothing flows is not told to the other."""
        with selectors.DefaultSelector() as selector:
            for end in self._other:
                selector.register(end, selectors.EVENT_READ)
            with contextlib.suppress(OSError, ValueError):
                while not stopped.is_set() and self._forward(selector):
                    self._wait_until_it_flows(stopped)
        self.close()

    def close(self) -> None:
        """Close both ends."""
        self.closed.set()
        for end in self._other:
            end.close()

    def _wait_until_it_flows(self, stopped: threading.Event) -> None:
        while not self.flows.wait(_LOOK_S) and not stopped.is_set():
            pass

    def _forward(self, selector: selectors.BaseSelector) -> bool:
        for key, _ in selector.select(_LOOK_S):
            if not self.flows.is_set():
                return True
            source: socket.socket = key.fileobj  # type: ignore[assignment] # sockets are what was registered
            data = source.recv(_CHUNK)
            if not data:
                return False
            self._other[source].sendall(data)
        return True
