"""A gate before an Ollama server: it keeps the answer to a load until told, and knows who asked for what."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import requests

LOAD, ASK = "/api/generate", "/api/chat"
_PATIENCE_S = 120


class Gate:
    """Forwards requests to the server at `url`, each as a whole; it is open at first."""

    def __init__(self, url: str) -> None:
        self.requests: list[str] = []
        self.loading = threading.Event()
        self.opened = threading.Event()
        self.opened.set()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._forward(requests.get(url + self.path, timeout=_PATIENCE_S))

            def do_POST(self) -> None:
                gate.requests.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = requests.post(url + self.path, data=body, timeout=_PATIENCE_S)
                if self.path == LOAD:
                    gate.loading.set()
                    gate.opened.wait(_PATIENCE_S)
                self._forward(answer)

            def _forward(self, answer: requests.Response) -> None:
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="gate", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.opened.set()
        self._server.shutdown()
        self._server.server_close()
