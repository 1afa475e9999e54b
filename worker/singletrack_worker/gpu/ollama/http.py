"""HTTP requests to an Ollama server, with typed replies and typed errors."""

import contextlib
import json
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError

from singletrack_tasks.errors import (
    InvalidConfiguration,
    OllamaFailure,
    OllamaRefusal,
    OllamaUnreachable,
    SingletrackError,
)
from singletrack_tasks.ollama_address import EXAMPLE, client_url, proxy_for, shown_url
from singletrack_tasks.text import cut_line
from singletrack_worker.gpu.ollama.connections import Hangup, open_session
from singletrack_worker.gpu.ollama.privacy import Secrets
from singletrack_worker.gpu.ollama.refusals import SHOWN_CHARS, URL_SETTING, Refused, Words, error_of, read_words

CONNECT_TIMEOUT_S = 3.0
# For requests that the server answers without touching a model.
REQUEST_TIMEOUT_S = 10.0
_SHOWN_BYTES = 200
# Of the answers below 500, those that ask to come again.
_LATER = (408, 425, 429)

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
        """Return the body of a GET; raises `OllamaUnreachable` (also for silence), `OllamaFailure`, `OllamaRefusal`."""
        with self._typed_errors():
            try:
                answer = self._session.get(
                    self._url + path, timeout=(CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S), allow_redirects=False
                )
            except requests.ReadTimeout as error:
                raise self._unreachable(error) from error
        return self._body(answer, {})

    def post(self, path: str, body: Mapping[str, Any], timeout_s: float) -> bytes:
        """Return the body of a POST; raises `OllamaUnreachable`, `OllamaFailure` (silence included), `ModelMissing`.

        What the server or a proxy in front of it will refuse again is an `OllamaRefusal`.
        """
        with self._typed_errors():
            answer = self._session.post(
                self._url + path, json=body, timeout=(CONNECT_TIMEOUT_S, timeout_s), allow_redirects=False
            )
        return self._body(answer, body)

    def stream(
        self, path: str, body: Mapping[str, Any], timeout_s: float, hangup: Hangup, secrets: Secrets
    ) -> Generator[bytes, None, None]:
        """Yield the lines of the answer to a POST as they come; `timeout_s` is the longest silence.

        The connection is this call's own: cutting it with `hangup`, or closing the iterator, harms no other call and
        tells the server that nobody listens any more. Raises as `post` does; no error quotes the `secrets`.
        """
        with open_session(self._url, hangup) as session, self._typed_errors():
            answer = session.post(
                self._url + path, json=body, timeout=(CONNECT_TIMEOUT_S, timeout_s), allow_redirects=False, stream=True
            )
            with answer:
                if answer.status_code != requests.codes.ok:
                    raise self._refusal(answer, body, secrets)
                yield from self._lines(answer)

    def read(self, shape: type[_Reply], body: bytes, *, secret: bool = False) -> _Reply:
        """Return what the server sent as a `shape`; raises `OllamaFailure`, which quotes nothing that is `secret`."""
        try:
            return shape.model_validate_json(body)
        except ValidationError as error:
            sent = _outline(body) if secret else _excerpt(body)
            raise self.failed(
                f"its reply is not one that Ollama gives: {sent}. Is it an Ollama server?{self._proxy_advice()}",
                {"body": sent},
            ) from (None if secret else error)

    def failed(self, what: str, details: dict[str, Any]) -> OllamaFailure:
        """Make the error for a server that did not do what it was asked for."""
        return OllamaFailure(f"The Ollama server at {self.url} failed: {what}", details)

    def broke_off(self, error: object, request: Mapping[str, Any], secrets: Secrets) -> SingletrackError:
        """Make the error for an `error` in the middle of an answer."""
        return error_of(Refused(self.url, self._without(read_words(error), secrets), request=request))

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
        except requests.exceptions.SSLError as error:
            raise self._untrusted(error) from error
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

    def _refusal(
        self, answer: requests.Response, request: Mapping[str, Any], secrets: Secrets | None = None
    ) -> SingletrackError:
        """Make the error for an answer that is not a success; `details["error"]` is Ollama's own text, if any."""
        error = _error_in(answer.content)
        words = Words("") if error is None else read_words(error)
        refused = Refused(
            self.url,
            words if secrets is None else self._without(words, secrets),
            answer.status_code,
            request,
            location=cut_line(shown_url(answer.headers.get("Location", "")), SHOWN_CHARS),
            has_password="@" in self._url,
            proxy=proxy_for(self._url),
        )
        return error_of(refused) if words.text or refused.is_about_access else self._not_ollamas(answer, secrets)

    def _not_ollamas(self, answer: requests.Response, secrets: Secrets | None) -> OllamaRefusal | OllamaFailure:
        """Make the error for an answer that is none of Ollama's: those of gateways pass, the others do not."""
        sent = _excerpt(answer.content) if secrets is None else _outline(answer.content)
        status = answer.status_code
        passes = status >= requests.codes.internal_server_error or status in _LATER
        kind = OllamaFailure if passes else OllamaRefusal
        return kind(
            f"The server at {self.url} answered HTTP {status}: {sent}. Is it an Ollama server? "
            f"{URL_SETTING} says where to find it.{self._proxy_advice()}",
            {"url": self.url, "status": status},
        )

    def _without(self, words: Words, secrets: Secrets) -> Words:
        return words._replace(text=secrets.out_of(words.text))

    def _unreachable(self, error: Exception) -> OllamaUnreachable:
        return OllamaUnreachable(
            f"No Ollama server answers at {self.url}. Start it there (`ollama serve`, or the Ollama app), or name "
            f"another one in {URL_SETTING}.{self._proxy_advice()}",
            {"url": self.url, "cause": cut_line(_shown(str(error)), SHOWN_CHARS)},
        )

    def _untrusted(self, error: Exception) -> OllamaRefusal:
        cause = cut_line(_shown(str(error)), SHOWN_CHARS)
        return OllamaRefusal(
            f"The server at {self.url} cannot be spoken to over TLS ({cause}). Write http:// in {URL_SETTING} if it "
            "speaks no TLS there; else trust its authority's certificate with REQUESTS_CA_BUNDLE.",
            {"url": self.url, "cause": cause},
        )

    def _misbehaved(self, what: str, error: Exception) -> OllamaFailure:
        # The text of the error may quote a line of the answer.
        return OllamaFailure(
            f"The Ollama server at {self.url} {what}: see its log.{self._proxy_advice()}",
            {"url": self.url, "cause": type(error).__name__},
        )

    def _proxy_advice(self) -> str:
        proxy = proxy_for(self._url)
        if proxy is None:
            return ""
        host = urlsplit(self._url).hostname
        return f" It was asked through the proxy {shown_url(proxy)}: if that is in the way, add {host} to NO_PROXY."


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


def _outline(body: bytes) -> str:
    """Describe what a server sent without quoting it: it may hold a question or an answer."""
    return f"{len(body):,} bytes that are none of Ollama's"


def _error_in(body: bytes) -> object:
    """Return the `error` of a reply of Ollama, None for anything else."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    error = answer.get("error") or None
    # The address itself holds the server's key.
    return f"{error}: sign in to ollama.com" if isinstance(error, str) and "signin_url" in answer else error
