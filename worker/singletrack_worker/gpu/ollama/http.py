"""HTTP requests to an Ollama server, with typed replies and typed errors."""

import contextlib
import json
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any, TypeVar

import requests
from pydantic import BaseModel, ValidationError

from singletrack_tasks.errors import InvalidConfiguration, ModelMissing, OllamaFailure, OllamaUnreachable
from singletrack_tasks.ollama_address import EXAMPLE, client_url, shown_url
from singletrack_worker.gpu.ollama.connections import Hangup, open_session

URL_SETTING = "SINGLETRACK_OLLAMA_URL"
CONNECT_TIMEOUT_S = 3.0
# For requests that the server answers without touching a model.
REQUEST_TIMEOUT_S = 10.0
_SHOWN_BYTES = 200

_Reply = TypeVar("_Reply", bound=BaseModel)


class OllamaHttp:
    """The HTTP side of one server; short calls share connections, each stream has its own.

    Safe to use from several threads. The constructor raises `InvalidConfiguration` for what is not a URL.
    """

    def __init__(self, url: str) -> None:
        self._url = _read_url(url)
        self._session = open_session(self._url)

    @property
    def url(self) -> str:
        """Return the address for messages, without secrets."""
        return shown_url(self._url)

    def get(self, path: str) -> bytes:
        """Return the body of a GET; raises `OllamaUnreachable` (silence included) and `OllamaFailure`."""
        with self._typed_errors():
            try:
                answer = self._session.get(
                    self._url + path, timeout=(CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S), allow_redirects=False
                )
            except requests.ReadTimeout as error:
                raise self._unreachable(error) from error
        return self._body(answer, {})

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> bytes:
        """Return the body of a POST; raises `OllamaUnreachable`, `OllamaFailure` (silence included), `ModelMissing`."""
        with self._typed_errors():
            answer = self._session.post(
                self._url + path, json=body, timeout=(CONNECT_TIMEOUT_S, timeout_s), allow_redirects=False
            )
        return self._body(answer, body)

    def stream(
        self, path: str, body: Mapping[str, Any], timeout_s: float, hangup: Hangup
    ) -> Generator[bytes, None, None]:
        """Yield the lines of the answer to a POST as they come; `timeout_s` is the longest silence.

        The connection is this call's own: cutting it with `hangup`, or closing the iterator, harms no other call and
        tells the server that nobody listens any more. Raises as `post` does.
        """
        with open_session(self._url, hangup) as session, self._typed_errors():
            answer = session.post(
                self._url + path, json=body, timeout=(CONNECT_TIMEOUT_S, timeout_s), allow_redirects=False, stream=True
            )
            with answer:
                if answer.status_code != requests.codes.ok:
                    raise self._refusal(answer, body)
                yield from self._lines(answer)

    def read(self, shape: type[_Reply], body: bytes) -> _Reply:
        """Return what the server sent as a `shape`; raises `OllamaFailure`."""
        try:
            return shape.model_validate_json(body)
        except ValidationError as error:
            sent = _excerpt(body)
            raise self.failed(
                f"its reply is not one that Ollama gives: {sent}. Is it an Ollama server?", {"body": sent}
            ) from error

    def failed(self, what: str, details: dict[str, Any]) -> OllamaFailure:
        """Make the error for a server that did not do what it was asked for."""
        return OllamaFailure(f"The Ollama server at {self.url} failed: {what}", details)

    def close(self) -> None:
        """End the shared connections; the next call makes new ones."""
        self._session.close()

    def _lines(self, answer: requests.Response) -> Iterator[bytes]:
        try:
            yield from (line for line in answer.iter_lines() if line)
        except requests.ConnectionError as error:  # it has answered, hence it is not unreachable
            raise self._misbehaved("broke off its answer or fell silent", error) from error

    @contextlib.contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except requests.ConnectionError as error:
            raise self._unreachable(error) from error
        except requests.ReadTimeout as error:
            raise self._misbehaved("did not answer in time", error) from error
        except requests.RequestException as error:
            raise self._misbehaved("broke off its answer or did not answer in HTTP", error) from error

    def _body(self, answer: requests.Response, request: Mapping[str, Any]) -> bytes:
        if answer.status_code != requests.codes.ok:
            raise self._refusal(answer, request)
        return answer.content

    def _refusal(self, answer: requests.Response, request: Mapping[str, Any]) -> OllamaFailure | ModelMissing:
        """Make the error for an answer that is not a success; `details["error"]` is Ollama's own text, if any."""
        text = _error_text(answer.content)
        details: dict[str, Any] = {"url": self.url, "status": answer.status_code}
        if not text:
            what = f"{_excerpt(answer.content)}. Is it an Ollama server? {URL_SETTING} says where to find it."
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
            {"url": self.url, "cause": _shown(str(error))},
        )

    def _misbehaved(self, what: str, error: Exception) -> OllamaFailure:
        return OllamaFailure(
            f"The Ollama server at {self.url} {what}: see its log.", {"url": self.url, "cause": _shown(str(error))}
        )


def _read_url(text: str) -> str:
    """Return the base URL for what `client_url` understands; raises `InvalidConfiguration`."""
    if not text.strip():
        raise InvalidConfiguration(f"{URL_SETTING} is empty: expected something like {EXAMPLE}.")
    try:
        return client_url(text)
    except ValueError as error:
        raise InvalidConfiguration(f"{URL_SETTING}: {error}") from error


def _shown(text: str) -> str:
    """Return a text without the user and password that may be in a URL in it."""
    return re.sub(r"//[^/\s]*@", "//", text)


def _excerpt(body: bytes) -> str:
    """Return the first bytes of what a server sent, for messages."""
    return repr(body[:_SHOWN_BYTES]) + ("..." if len(body) > _SHOWN_BYTES else "")


def _error_text(body: bytes) -> str:
    """Return what an `{"error": ...}` of Ollama says, empty for anything else."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    text = answer.get("error") if isinstance(answer, dict) else None
    return text if isinstance(text, str) else ""
