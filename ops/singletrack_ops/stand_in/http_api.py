"""Ollama's HTTP API, as far as this project uses it."""

import json
import time
from http.server import BaseHTTPRequestHandler
from itertools import islice
from typing import Any

from singletrack_ops.stand_in.models import LoadedModel, LoadRefused, Models
from singletrack_ops.stand_in.replies import Answerer, Meaningless, Reply

# Of the Ollama whose behaviour this follows.
VERSION = "0.32.0"
_NOW = "2026-01-01T00:00:00Z"
_NS_PER_S = 1_000_000_000


class OllamaApi(BaseHTTPRequestHandler):
    """Answers one client's requests about `models`, which the server's own subclass has.

    `answerer` thinks of the answers; without one they have no meaning.
    """

    protocol_version = "HTTP/1.1"
    models: Models
    answerer: Answerer | None = None

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Say that the server is there."""
        self._reply({})

    def do_GET(self) -> None:
        """Answer what needs no model."""
        match self.path:
            case "/api/version":
                self._reply({"version": VERSION})
            case "/api/tags":
                self._reply({"models": self.models.tags()})
            case "/api/ps":
                self._reply({"models": self.models.listed()})
            case _:
                self._reply({"error": "not found"}, 404)

    def do_POST(self) -> None:
        """Show, load, unload or ask a model."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        asked_for = str(body.get("model", ""))
        name = self.models.known(asked_for)
        if name is None:
            self._reply({"error": f"model '{asked_for}' not found"}, 404)
        elif self.path == "/api/show":
            self._reply({"capabilities": ["completion", "vision"]})
        else:
            self._run(name, body)

    def _run(self, name: str, body: dict[str, Any]) -> None:
        keep_alive_s = body.get("keep_alive")
        is_question = bool(body.get("messages") or body.get("prompt"))
        if keep_alive_s == 0 and not is_question:
            self.models.send_away(name)
            self._reply(_done(name, "unload"))
            return
        try:
            if is_question:
                self._answer(name, body, keep_alive_s)
            else:
                self.models.load(name, keep_alive_s)
                self._reply(_done(name, "load"))
        except LoadRefused as error:
            self._reply({"error": error.message}, 500)

    def _answer(self, name: str, body: dict[str, Any], keep_alive_s: float | None) -> None:
        began_s = time.monotonic()
        with self.models.answering(name, keep_alive_s) as model:
            loaded_s = time.monotonic()
            reply = (self.answerer or Meaningless(self.models.behaviour.words)).reply(body)
            if reply.failure:
                self._reply({"error": reply.failure}, 500)
                return
            self._begin_stream()
            try:
                count = self._write_answer(name, reply, _limit(body), model)
                if count is None:
                    self._piece({"error": "the model's process ended: unexpected EOF"}, is_last=True)
                else:
                    figures = _figures(count, loaded_s - began_s, time.monotonic() - loaded_s)
                    reason = "length" if reply.is_cut or count == _limit(body) else "stop"
                    end = {"model": name, "message": {"content": ""}, "done": True, "done_reason": reason}
                    self._piece({**end, **figures}, is_last=True)
            except OSError:
                self.close_connection = True  # nobody listens any more

    def _write_answer(self, name: str, reply: Reply, limit: int | None, model: LoadedModel) -> int | None:
        """Write the answer; returns the number of its pieces, None if the model died."""
        pace_s = self.models.behaviour.piece_s if reply.piece_s is None else reply.piece_s
        count = 0
        for text, thinking in islice(reply.pieces, limit):
            count += 1
            time.sleep(pace_s)
            if not model.memory.alive:
                return None
            message = {"role": "assistant", "content": text} | ({"thinking": thinking} if thinking else {})
            self._piece({"model": name, "message": message, "done": False})
        return count

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _piece(self, body: dict[str, Any], *, is_last: bool = False) -> None:
        data = json.dumps(body).encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n" + (b"0\r\n\r\n" if is_last else b""))
        self.wfile.flush()

    def _reply(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _done(name: str, reason: str) -> dict[str, Any]:
    return {"model": name, "created_at": _NOW, "response": "", "done": True, "done_reason": reason}


def _limit(body: dict[str, Any]) -> int | None:
    """How many pieces the answer may have."""
    limit: int | None = (body.get("options") or {}).get("num_predict")
    return limit


def _figures(pieces: int, load_s: float, generate_s: float) -> dict[str, int]:
    durations = {"load_duration": int(load_s * _NS_PER_S), "eval_duration": int(generate_s * _NS_PER_S)}
    return {"prompt_eval_count": 3, "eval_count": pieces, **durations}
