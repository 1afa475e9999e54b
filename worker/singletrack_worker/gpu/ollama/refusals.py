"""What an Ollama server says when it does not do what it was asked for, and which error of ours that is."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from singletrack_tasks.errors import (
    ImagesUnsupported,
    InvalidImage,
    InvalidRequest,
    InvalidSchema,
    ModelMissing,
    OllamaFailure,
    OllamaRefusal,
    PromptTooLong,
    SingletrackError,
)
from singletrack_tasks.ollama_address import shown_url
from singletrack_tasks.text import cut_line
from singletrack_worker.gpu.out_of_memory import OUT_OF_MEMORY, says_out_of_memory

URL_SETTING = "SINGLETRACK_OLLAMA_URL"
NUM_CTX_SETTING = "SINGLETRACK_VLM_NUM_CTX"
SHOWN_CHARS = 300
_FORBIDDEN = 403
_PASSWORD = (401, _FORBIDDEN, 407)
# Models that run at ollama.com want the server itself to have signed in there.
_SIGN_IN = re.compile(r"ollama\.com|sign ?in\b|subscription", re.IGNORECASE)
# Servers that are not Ollama have words of their own for a path that they do not know.
_MODEL = re.compile(r"\bmodel\b|manifest|file does not exist", re.IGNORECASE)

_CONTEXT = re.compile(
    r"exceed\w* (the |its )?(available |maximum |max )?context|exceed_context_size|prompt (is )?too long", re.IGNORECASE
)
_THINKING = re.compile(r"does not support thinking|think value .* not supported|\.think\b", re.IGNORECASE)
_BLIND = re.compile(r"does not support (images|vision|multimodal)|image input is not supported", re.IGNORECASE)
# Seen: "failed to process inputs: unable to make llava embedding from image", "... received zero length image",
# "illegal base64 data"; newer servers: "failed to decode image", "image: unknown format".
_IMAGE = re.compile(r"failed to process inputs|illegal base64|\bimages?\b", re.IGNORECASE)
# The last one is what 0.9 says of a grammar that it can write and not use, such as one that refers to itself first.
_SCHEMA = re.compile(r"invalid (JSON )?(schema|format)|grammar|create sampling context", re.IGNORECASE)


class Words(NamedTuple):
    """What an `error` of Ollama says, '' if it says nothing, and the tokens that it tells of."""

    text: str
    prompt_tokens: int | None = None
    context_tokens: int | None = None


@dataclass(frozen=True)
class Refused:
    """A request that the server at `url` did not carry out; `status` is None if it said so in the middle of a stream.

    `request` is the body of the request, `location` where a redirect leads, `has_password` whether the URL has one, and
    `proxy` what it went through.
    """

    url: str
    words: Words
    status: int | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""
    has_password: bool = False
    proxy: str | None = None

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.request.get("model", "the model"))

    @property
    def has_images(self) -> bool:
        """Whether the question has images."""
        return any(message.get("images") for message in self.request.get("messages", ()))

    @property
    def is_about_access(self) -> bool:
        """Whether the status alone says enough: a redirect, or a password that is missing or wrong."""
        return self.status is not None and (300 <= self.status < 400 or self.status in _PASSWORD)

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Return whether the server's words match, those of the model's name left out."""
        return pattern.search(self.words.text.replace(self.model, "")) is not None


@dataclass(frozen=True)
class _Row:
    when: Callable[[Refused], bool]
    error: type[SingletrackError]
    advice: Callable[[Refused], str]


def error_of(refused: Refused) -> SingletrackError:
    """Return the error for a refusal: the first row of the table that fits says which, and what to do."""
    details: dict[str, Any] = {"url": refused.url, "error": refused.words.text}
    if refused.status is not None:
        details["status"] = refused.status
    if says_out_of_memory(refused.words.text):
        details["kind"] = OUT_OF_MEMORY
    row = next(row for row in _TABLE if row.when(refused))
    if row.error is PromptTooLong:
        tokens = {"prompt_tokens": refused.words.prompt_tokens, "context_tokens": _context_tokens(refused)}
        details |= {name: count for name, count in tokens.items() if count is not None}
    return row.error(row.advice(refused), details)


def read_words(error: object) -> Words:
    """Return what the `error` of a reply says: a text, or an object with a `message` and figures."""
    told: Mapping[str, Any] = error if isinstance(error, dict) else {}
    text = error if isinstance(error, str) else told.get("message") or json.dumps(error)
    said = cut_line(str(text), SHOWN_CHARS)
    counts: list[object] = [told.get("n_prompt_tokens"), told.get("n_ctx")]
    if counts == [None, None]:
        in_words = [int(count.replace(",", "")) for count in re.findall(r"(\d[\d,]{0,11}) tokens", said)]
        counts = [*in_words[:2]] if len(in_words) > 1 else counts
    prompt, context = (count if isinstance(count, int) else None for count in counts)
    return Words(said, prompt, context)


def too_long(model: str, prompt_tokens: int | None, context_tokens: int | None) -> str:
    """Say that a prompt does not fit its context, and what to do."""
    context = "its context" if context_tokens is None else f"its context of {context_tokens:,} tokens"
    size = "more tokens" if prompt_tokens is None else f"{prompt_tokens:,} tokens, more"
    return (
        f"The prompt is too long for {model}: it has {size} than fit into {context}. Shorten it, send fewer or "
        f"smaller images, or set {NUM_CTX_SETTING} on the worker to more, which takes more memory."
    )


def _context_tokens(refused: Refused) -> int | None:
    own = refused.request.get("options", {}).get("num_ctx")
    return refused.words.context_tokens or (own if isinstance(own, int) else None)


def _answered(refused: Refused) -> str:
    how = "failed" if refused.status is None else f"answered HTTP {refused.status}"
    words = refused.words.text.removesuffix(".")
    return f"The Ollama server at {refused.url} {how}{words and f': {words}'}"


def _password_advice(refused: Refused) -> str:
    if refused.proxy is not None:
        return (
            f"The proxy {shown_url(refused.proxy)} or the server at {refused.url} wants a user and password (HTTP "
            f"{refused.status}). Put that of the proxy into HTTP_PROXY, that of the server into {URL_SETTING}, or add "
            "the server to NO_PROXY."
        )
    if refused.says(_SIGN_IN):
        return f"{_answered(refused)}. Run `ollama signin` there, or choose a model that the server has itself."
    if refused.status == _FORBIDDEN and not refused.words.text:
        return (
            f"{_answered(refused)}. Ollama forbids questions to a host's name that it does not know: put localhost or "
            f"the IP address into {URL_SETTING}. Where a proxy forbids them, it may want a user and password there, as "
            "in https://USER:PASSWORD@HOST."
        )
    if refused.has_password:
        return f"{_answered(refused)}. It does not accept the user and password in {URL_SETTING}: correct them."
    return (
        f"{_answered(refused)}. It asks for a user and password: put them into {URL_SETTING}, as in "
        "https://USER:PASSWORD@HOST, with special characters percent-encoded."
    )


def _status(*codes: int) -> Callable[[Refused], bool]:
    return lambda refused: refused.status in codes


_TABLE = (
    _Row(
        lambda it: it.status is not None and 300 <= it.status < 400,
        OllamaRefusal,
        lambda it: (
            f"The server at {it.url} redirects to {it.location or 'nowhere'} (HTTP {it.status}). Set "
            f"{URL_SETTING} to the address at which Ollama itself answers."
        ),
    ),
    _Row(_status(*_PASSWORD), OllamaRefusal, _password_advice),
    _Row(
        lambda it: it.status == 404 and "model" in it.request and _MODEL.search(it.words.text) is not None,
        ModelMissing,
        lambda it: (
            f"The Ollama server at {it.url} does not have the model {it.model!r}. Run `ollama pull {it.model}` there."
        ),
    ),
    _Row(
        _status(404),
        OllamaRefusal,
        lambda it: f"{_answered(it)}. Is it an Ollama server? {URL_SETTING} says where to find it.",
    ),
    _Row(
        lambda it: it.says(_CONTEXT),
        PromptTooLong,
        lambda it: too_long(it.model, it.words.prompt_tokens, _context_tokens(it)),
    ),
    _Row(
        lambda it: it.says(_THINKING),
        InvalidRequest,
        lambda it: (
            f"{it.model} cannot think as asked: {it.words.text}. Leave the option `think` out, or choose another value."
        ),
    ),
    _Row(
        lambda it: it.says(_BLIND),
        ImagesUnsupported,
        lambda it: ImagesUnsupported.of(it.model).message,
    ),
    _Row(
        lambda it: it.has_images and it.says(_IMAGE),
        InvalidImage,
        lambda it: (
            f"{it.model} could not read an image of the question: {it.words.text}. Send whole PNG or JPEG "
            "images, to a model that takes images."
        ),
    ),
    _Row(
        lambda it: it.request.get("format") is not None and it.says(_SCHEMA),
        InvalidSchema,
        lambda it: f"the Ollama server cannot use this schema: {it.words.text}. Use a simpler one.",
    ),
    _Row(
        _status(400, 405, 411, 413, 414, 415, 422, 431),
        OllamaRefusal,
        lambda it: (
            f"{_answered(it)}. It will not take this request however often it is sent: change the request, or "
            "update the server."
        ),
    ),
    _Row(lambda _: True, OllamaFailure, _answered),
)
