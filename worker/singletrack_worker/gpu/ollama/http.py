"""HTTP to an Ollama server: addresses, connections that another thread can cut, and typed errors."""

import contextlib
import ipaddress
import json
import re
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from singletrack_tasks.errors import InvalidConfiguration, ModelMissing, OllamaFailure, OllamaUnreachable

DEFAULT_PORT = 11434
URL_SETTING = "SINGLETRACK_OLLAMA_URL"
_SHOWN_BYTES = 200


def read_url(text: str) -> str:
    """Return the base URL for `host`, `host:port` or a whole URL, without a slash at its end.

    Without a scheme it is http and, where no port is named, Ollama's. Raises `InvalidConfiguration`.
    """
    value = text.strip()
    bare = "://" not in value
    url = (f"http://{value}" if bare else value).rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _no_url(text, str(error)) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url):
        raise _no_url(text, "it has no http(s) scheme or no host")
    if parts.query or parts.fragment:
        raise _no_url(text, "it has a query or a fragment")
    return f"{url}:{DEFAULT_PORT}" if bare and port is None and not parts.path else url


def shown(url: str) -> str:
    """Return the URL without the user and password that may be in it, for messages."""
    return re.sub(r"//[^/@]*@", "//", url)


def excerpt(body: bytes) -> str:
    """Return the first bytes of what a server sent, for messages."""
    return repr(body[:_SHOWN_BYTES]) + ("..." if len(body) > _SHOWN_BYTES else "")


class Hangup:
    """Cuts one connection from another thread at any moment, also before it is made or has answered.

    A connection that is just being made is cut as soon as it stands, that is within the connect time-out.
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


class OllamaHttp:
    """The HTTP side of one server; connections are kept for short calls, each stream has its own.

    All of it is safe to use from several threads.
    """

    def __init__(self, url: str, connect_timeout_s: float) -> None:
        self._url = read_url(url)
        self._connect_timeout_s = connect_timeout_s
        self._session = _session(self._url)

    @property
    def url(self) -> str:
        """Return the address for messages, without secrets."""
        return shown(self._url)

    def get(self, path: str, timeout_s: float) -> bytes:
        """Return the body of a GET; raises `OllamaUnreachable` (silence included) and `OllamaFailure`."""
        with self._typed_errors():
            try:
                answer = self._session.get(self._url + path, timeout=self._timeouts(timeout_s), allow_redirects=False)
            except requests.ReadTimeout as error:
                raise self._unreachable(error) from error
        return self._body(answer, {})

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> bytes:
        """Return the body of a POST; raises `OllamaUnreachable`, `OllamaFailure` (silence included), `ModelMissing`."""
        with self._typed_errors():
            answer = self._session.post(
                self._url + path, json=body, timeout=self._timeouts(timeout_s), allow_redirects=False
            )
        return self._body(answer, body)

    def stream(
        self, path: str, body: Mapping[str, Any], timeout_s: float, hangup: Hangup
    ) -> Generator[bytes, None, None]:
        """Yield the lines of the answer to a POST as they come; `timeout_s` is the longest silence.

        The connection is this call's own: cutting it by `hangup`, or closing the iterator, hurts no other call and
        tells the server that nobody listens any more. Raises as `post` does.
        """
        with _session(self._url, hangup) as session, self._typed_errors():
            answer = session.post(
                self._url + path, json=body, timeout=self._timeouts(timeout_s), allow_redirects=False, stream=True
            )
            with answer:
                if answer.status_code != requests.codes.ok:
                    raise self._refusal(answer, body)
                yield from self._lines(answer)

    def close(self) -> None:
        """End the connections that are kept; the next call makes new ones."""
        self._session.close()

    def _lines(self, answer: requests.Response) -> Iterator[bytes]:
        try:
            yield from (line for line in answer.iter_lines() if line)
        except requests.ConnectionError as error:  # it has answered, hence it is not unreachable
            raise self._failure("broke off its answer or fell silent", error) from error

    def _timeouts(self, timeout_s: float) -> tuple[float, float]:
        return self._connect_timeout_s, timeout_s

    @contextlib.contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except requests.ConnectionError as error:
            raise self._unreachable(error) from error
        except requests.ReadTimeout as error:
            raise self._failure("did not answer in time", error) from error
        except requests.RequestException as error:
            raise self._failure("broke off its answer or gave none that is HTTP", error) from error

    def _body(self, answer: requests.Response, request: Mapping[str, Any]) -> bytes:
        if answer.status_code != requests.codes.ok:
            raise self._refusal(answer, request)
        return answer.content

    def _refusal(self, answer: requests.Response, request: Mapping[str, Any]) -> OllamaFailure | ModelMissing:
        """Say what an answer means that is no success; `details["error"]` is what Ollama itself says, if it does."""
        text = _error_text(answer.content)
        details: dict[str, Any] = {"url": self.url, "status": answer.status_code}
        if not text:
            what = f"{excerpt(answer.content)}. Is it an Ollama at all? {URL_SETTING} says where it is."
            return OllamaFailure(f"The server at {self.url} answered HTTP {answer.status_code}: {what}", details)
        details["error"] = text
        if answer.status_code == requests.codes.not_found and "model" in request:
            name = request["model"]
            return ModelMissing(
                f"The Ollama server at {self.url} does not have the model {name!r}. Run `ollama pull {name}` there.",
                details,
            )
        return OllamaFailure(f"The Ollama server at {self.url} answered HTTP {answer.status_code}: {text}", details)

    def _unreachable(self, error: Exception) -> OllamaUnreachable:
        return OllamaUnreachable(
            f"No Ollama server answers at {self.url}. Start it there (`ollama serve`, or the Ollama app), or name "
            f"another one in {URL_SETTING}.",
            {"url": self.url, "cause": shown(str(error))},
        )

    def _failure(self, what: str, error: Exception) -> OllamaFailure:
        return OllamaFailure(
            f"The Ollama server at {self.url} {what}: see its log.", {"url": self.url, "cause": shown(str(error))}
        )


class _CuttableAdapter(HTTPAdapter):
    """Gives every connection that it makes, through a proxy or not, into the charge of a `Hangup`."""

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
    """Make urllib3's classes over again with connections that are held by `hangup` from the moment they stand."""

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


def _session(url: str, hangup: Hangup | None = None) -> requests.Session:
    session = requests.Session()
    session.trust_env = not _is_loopback(url)  # a proxy cannot reach this machine under that name
    if hangup is not None:
        session.mount("http://", _CuttableAdapter(hangup))
        session.mount("https://", _CuttableAdapter(hangup))
    return session


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shut_down(sock: socket.socket) -> None:
    """Wake whoever reads or writes: a plain `close` would leave him waiting."""
    with contextlib.suppress(OSError):  # it has ended already, at either side
        # The plain socket's method: that of a TLS socket takes the TLS state from under the reader's feet.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _error_text(body: bytes) -> str:
    """Return what an `{"error": ...}` of Ollama says, empty for anything else."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    text = answer.get("error") if isinstance(answer, dict) else None
    return text if isinstance(text, str) else ""


def _no_url(text: str, reason: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"{URL_SETTING} is {shown(text)!r}, which is no address of an Ollama server ({reason}). "
        f"Expected is something like http://localhost:{DEFAULT_PORT} or gpu-host:{DEFAULT_PORT}."
    )
