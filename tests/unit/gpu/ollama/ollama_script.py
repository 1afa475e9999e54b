"""A server on loopback that does on purpose what a real Ollama does only on bad days."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from singletrack_worker.gpu.ollama.manager import OllamaManager, OllamaTimeouts
from tests.fakes import FakeClock
from tests.unit.gpu.vlm_conformance import PATIENCE_S

MIB = 1024 * 1024
TIMEOUTS = OllamaTimeouts(load_s=300.0, answer_s=PATIENCE_S, unload_s=30.0)
Act = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Does what the script says for a path: the acts in turn, the last one for ever."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # several small writes an answer would wait 40 ms for each other
    server: "Script"

    def do_GET(self) -> None:
        self._act({})

    def do_POST(self) -> None:
        self._act(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body: bytes, status: int = 200, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self, *lines: object) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.send_line(json.dumps(line).encode())

    def send_line(self, line: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def wait_for_hangup(self) -> None:
        """Say that the request is being worked on, and work on it until the client is gone."""
        self.server.busy.set()
        try:
            rest = self.connection.recv(1)
        except ConnectionError:
            rest = b""
        if not rest:
            self.server.hung_up.set()
        self.close_connection = True

    def reset(self) -> None:
        """End the connection as a process that was killed does, without a farewell."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Stay silent."""

    def _act(self, body: dict[str, Any]) -> None:
        acts = self.server.acts[self.path]
        self.server.requests.append((self.path, body))
        act = acts.pop(0) if len(acts) > 1 else acts[0]
        act(self)


class Script(ThreadingHTTPServer):
    """A server on loopback that acts as told; `requests` are the paths and bodies that came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        # A server that describes no model.
        self.acts: dict[str, list[Act]] = {"/api/show": [says({})]}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.busy = threading.Event()
        self.hung_up = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def on(self, path: str, *acts: Act) -> None:
        self.acts[path] = list(acts)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body in self.requests if where == path]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what is tested here."""


class SteppedClock(FakeClock):
    """Time that passes by sleeping only, from 0 on."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.pauses_s: list[float] = []

    def time(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.pauses_s.append(duration_s)
        self.now_s += duration_s


def says(answer: object, status: int = 200) -> Act:
    return lambda handler: handler.answer(json.dumps(answer).encode(), status)


def sends(body: bytes, status: int = 200) -> Act:
    return lambda handler: handler.answer(body, status, "text/html")


def streams(*lines: object) -> Act:
    def act(handler: Handler) -> None:
        handler.begin_stream(*lines)
        handler.end_stream()

    return act


def word(text: str, **more: object) -> dict[str, object]:
    return {"message": {"role": "assistant", "content": text}, "done": False, **more}


LISTED = says({"models": [{"name": "eye:latest", "size": 3 * MIB, "size_vram": 2 * MIB}]})
UNLISTED = says({"models": []})
LOADED = says({"response": "", "done": True, "done_reason": "load"})
SENT_AWAY = says({"response": "", "done": True, "done_reason": "unload"})
LAST = word(
    "",
    done=True,
    prompt_eval_count=7,
    eval_count=2,
    load_duration=1_500_000_000,
    eval_duration=250_000_000,
    total_duration=2_000_000_000,
)


@contextmanager
def scripted() -> Iterator[Script]:
    """A server that runs until the end of the block."""
    with Script() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(PATIENCE_S)


@contextmanager
def managed(url: str, clock: SteppedClock, model: str = "eye", **timeouts_s: float) -> Iterator[OllamaManager]:
    """A manager with runner options and these of `OllamaTimeouts`, closed at the end of the block."""
    timeouts = replace(TIMEOUTS, **timeouts_s)
    manager = OllamaManager(url, model, clock=clock, keep_alive_s=60.2, timeouts=timeouts, num_ctx=4096)
    try:
        yield manager
    finally:
        manager.close()
