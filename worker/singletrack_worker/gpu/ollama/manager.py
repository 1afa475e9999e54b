"""A VLM on an Ollama server: loaded means listed as loaded, unloaded means no longer listed."""

import base64
import contextlib
import math
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from singletrack_tasks.errors import (
    AnswerTimeout,
    InvalidConfiguration,
    InvalidImage,
    InvalidSchema,
    JobCancelled,
    ModelMissing,
    OllamaFailure,
    SingletrackError,
    VlmUnloadFailed,
)
from singletrack_tasks.schema import JsonSchema
from singletrack_tasks.vlm import VlmOptions
from singletrack_worker.gpu.ollama.http import Hangup, OllamaHttp, excerpt
from singletrack_worker.gpu.ollama.replies import Chunk, Done, Loaded, Named, Ps, Show, Tags, Version, full_name
from singletrack_worker.gpu.ports import Cancellation, Clock, OtherModel, VlmAnswer, VlmListing, ignore_text

_MAX_KEEP_ALIVE_S = 365 * 24 * 3600
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.25
_ASK_AGAIN_S = 1.0
# How long another's model may take to go while everybody waits for the GPU.
OTHER_GONE_S = 2.0

# Seen: "failed to process inputs: unable to make llava embedding from image", "... received zero length image",
# "illegal base64 data"; newer servers: "failed to decode image", "image: unknown format", "does not support images".
_ABOUT_SCHEMA = re.compile(r"invalid (JSON )?(schema|format)|grammar", re.IGNORECASE)
_ABOUT_IMAGES = re.compile(r"failed to process inputs|illegal base64|\bimages?\b", re.IGNORECASE)

_Reply = TypeVar("_Reply", bound=BaseModel)


class OllamaManager:
    """One model on one Ollama server, a `Vlm`; nothing is tried twice in here.

    Times are in seconds. `keep_alive_s` is how long the server keeps an unused model if nobody sends it away: the
    memory comes back by itself where a worker has died. `num_ctx` and `num_gpu` (None: the server decides) go with
    every request, since the server loads a model anew when they differ. `answer_timeout_s` bounds a whole answer and
    each silence in it. Raises `InvalidConfiguration`.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        clock: Clock,
        keep_alive_s: float,
        num_ctx: int | None = None,
        connect_timeout_s: float = 3.0,
        request_timeout_s: float = 10.0,
        load_timeout_s: float = 300.0,
        answer_timeout_s: float = 300.0,
        unload_timeout_s: float = 30.0,
        num_gpu: int | None = None,
    ) -> None:
        if not model.strip():
            raise InvalidConfiguration("the VLM has no name: expected is one that `ollama list` shows, like llava:7b")
        self._model = model.strip()
        self._keep_alive_s = _whole_keep_alive_s(keep_alive_s)
        self._clock = clock
        self._request_timeout_s = request_timeout_s
        self._load_timeout_s = load_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._unload_timeout_s = unload_timeout_s
        runner_options = {"num_ctx": num_ctx, "num_gpu": num_gpu}
        self._runner_options = {name: value for name, value in runner_options.items() if value is not None}
        self._http = OllamaHttp(url, connect_timeout_s)
        self._moving = threading.Lock()
        self._others: tuple[OtherModel, ...] = ()
        self._digest: str | None = None

    @property
    def model(self) -> str:
        """Return the name of the model, as it was given."""
        return self._model

    @property
    def others(self) -> tuple[OtherModel, ...]:
        """Return the other models that the server listed when `listing` was last answered."""
        return self._others

    def listing(self) -> VlmListing | None:
        """Return what the server lists of the model, None if it is not loaded; another name of it is as good as ours.

        Some servers (0.9) list a model while it is loading, others (0.32) do not. Raises `OllamaUnreachable`,
        `OllamaFailure`.
        """
        listed = self._read(Ps, self._http.get("/api/ps", self._request_timeout_s)).models
        digest = self._own_digest(listed)
        ours = [it for it in listed if it.is_called(self._model) or (it.digest and it.digest == digest)]
        self._others = tuple(loaded.as_other() for loaded in listed if loaded not in ours)
        return ours[0].as_ours() if ours else None

    def load(self) -> None:
        """Load the model, one attempt; returns when it is listed.

        Raises `OllamaUnreachable`, `ModelMissing`, `OllamaFailure`.
        """
        with self._moving:
            self._digest = None  # the model may have been pulled anew
            # Hanging up cancels the load, so nothing shorter than the load's own time-out will do.
            reply = self._read(Done, self._generate(self._model, self._keep_alive_s, self._load_timeout_s))
            if not reply.done or not self._comes_to_be(self._is_listed, self._request_timeout_s):
                raise OllamaFailure(
                    f"The Ollama server at {self._http.url} says it loaded {self._model}, but does not list it: "
                    "something else may have taken its place. Look at `ollama ps` there.",
                )

    def unload(self) -> None:
        """Unload the model; returns when it is no longer listed, at once if it was not loaded.

        A load of ours that is under way is waited for first; so is another's, by those servers that wait (0.9).
        Raises `OllamaUnreachable`, `OllamaFailure`, `VlmUnloadFailed`.
        """
        with self._moving:
            deadline_s = self._clock.monotonic() + self._unload_timeout_s
            # Sent without a look at the list, which some servers leave empty while a model is loading.
            self._send_away(self._model, self._is_listed, self._unload_timeout_s)
            while not self._comes_to_go(self._is_gone, min(_ASK_AGAIN_S, self._left_s(deadline_s))):
                if self._left_s(deadline_s) <= _FIRST_PAUSE_S:
                    raise self._still_there(self._model, f"{self._unload_timeout_s:g} s after it was asked to go")
                # What comes during a load is lost by some servers.
                self._send_away(self._model, self._is_listed, self._left_s(deadline_s))

    def unload_other(self, name: str) -> None:
        """Unload a model that is none of ours; returns when it is no longer listed, at once if it was not loaded.

        One that is at work for somebody goes when it has answered, and is waited for a moment only. Raises
        `OllamaUnreachable`, `OllamaFailure`, `VlmUnloadFailed`.
        """
        with self._moving:
            self._send_away(name, lambda: self._lists_other(name), OTHER_GONE_S)
            if not self._comes_to_go(lambda: not self._lists_other(name), OTHER_GONE_S):
                raise self._still_there(name, f"{OTHER_GONE_S:g} s after it was asked to go: it may be answering")

    def ask(
        self,
        prompt: str,
        images: Sequence[bytes],
        json_schema: JsonSchema | None,
        options: VlmOptions,
        cancellation: Cancellation,
        on_text: Callable[[str], None] = ignore_text,
    ) -> VlmAnswer:
        """Put a question, one attempt; the server loads the model first if need be.

        Raises `OllamaUnreachable`, `OllamaFailure`, `ModelMissing`, `InvalidImage` for an image that the server
        cannot read, and `JobCancelled` once `cancellation` is: the connection is cut then, also while the server is
        still reading the question, and the server stops.
        """
        hangup = Hangup()
        cancellation.on_cancel(hangup.cut)
        try:
            answer = self._answer(self._question(prompt, images, json_schema, options), hangup, on_text)
        except SingletrackError as error:
            if cancellation.cancelled:
                raise self._called_off() from error
            if images and isinstance(error, OllamaFailure) and self._is_about_images(error):
                raise self._bad_image(error) from error
            if json_schema is not None and _ABOUT_SCHEMA.search(error.message):
                raise InvalidSchema(
                    f"the Ollama server cannot use this schema: {error.message} Use a simpler one.", error.details
                ) from error
            raise
        finally:
            cancellation.on_cancel(None)
        if cancellation.cancelled:
            raise self._called_off()
        return answer

    def exists(self) -> bool:
        """Return whether the server has the model; raises `OllamaUnreachable`, `OllamaFailure`."""
        try:
            self._show()
        except ModelMissing:
            return False
        return True

    def sees_images(self) -> bool | None:
        """Return whether the model takes images, None from a server too old to tell.

        Raises `OllamaUnreachable`, `OllamaFailure`, `ModelMissing`.
        """
        capabilities = self._show().capabilities
        return None if capabilities is None else "vision" in capabilities

    def version(self) -> str:
        """Return the server's version; raises `OllamaUnreachable`, `OllamaFailure`."""
        return self._read(Version, self._http.get("/api/version", self._request_timeout_s)).version

    def close(self) -> None:
        """End connections; harmless when repeated."""
        self._http.close()

    def _show(self) -> Show:
        return self._read(Show, self._http.post("/api/show", {"model": self._model}, self._request_timeout_s))

    def _generate(self, name: str, keep_alive_s: int, timeout_s: float) -> bytes:
        """Send a request without a prompt, which loads a model or, kept alive for 0 s, unloads it."""
        return self._http.post("/api/generate", self._body(keep_alive_s, stream=False) | {"model": name}, timeout_s)

    def _body(self, keep_alive_s: int, *, stream: bool, **options: Any) -> dict[str, Any]:
        """Return what all requests that reach the model have in common."""
        return {
            "model": self._model,
            "keep_alive": keep_alive_s,
            "stream": stream,
            "options": {**self._runner_options, **options},
        }

    def _question(
        self, prompt: str, images: Sequence[bytes], json_schema: JsonSchema | None, options: VlmOptions
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "user", "content": prompt}
        if images:
            message["images"] = [base64.b64encode(image).decode("ascii") for image in images]
        body = self._body(self._keep_alive_s, stream=True, **_ollama_options(options))
        body["messages"] = [message]
        if json_schema is not None:
            body["format"] = json_schema
        return body

    def _answer(self, question: dict[str, Any], hangup: Hangup, on_text: Callable[[str], None]) -> VlmAnswer:
        deadline_s = self._clock.monotonic() + self._answer_timeout_s
        texts: list[str] = []
        # Closed here and not by the garbage collector: the server goes on for as long as the connection stands.
        with contextlib.closing(self._http.stream("/api/chat", question, self._answer_timeout_s, hangup)) as lines:
            for line in lines:
                chunk = self._read(Chunk, line)
                if chunk.error is not None:
                    raise self._failed(chunk.error, {"error": chunk.error})
                texts.append(chunk.message.content)
                on_text(chunk.message.content)
                if chunk.done:
                    return chunk.answer("".join(texts))
                if self._left_s(deadline_s) <= 0:
                    raise AnswerTimeout(
                        f"{self._model} was still answering after {self._answer_timeout_s:g} s and was broken off. Set "
                        "max_tokens, or give it longer with SINGLETRACK_ANSWER_TIMEOUT_S."
                    )
        raise self._failed("an answer ended in the middle", {"text": "".join(texts)[-200:]})

    def _send_away(self, name: str, is_listed: Callable[[], bool], timeout_s: float) -> None:
        """Ask the server to let a model go."""
        try:
            self._generate(name, 0, timeout_s)
        except (ModelMissing, OllamaFailure) as error:  # missing: it was deleted, which leaves it loaded
            if is_listed():
                raise self._still_there(name, f"and could not be sent away ({error.message})") from error

    def _own_digest(self, listed: Sequence[Loaded]) -> str | None:
        """Return what tells our model under any name; asks the server where only other names are listed."""
        digest = self._digest_among(listed) or self._digest
        if digest is None and any(it.digest for it in listed):
            digest = self._digest_among(self._read(Tags, self._http.get("/api/tags", self._request_timeout_s)).models)
        self._digest = digest
        return digest

    def _digest_among(self, named: Sequence[Named]) -> str | None:
        return next((it.digest for it in named if it.is_called(self._model) and it.digest), None)

    def _is_listed(self) -> bool:
        return self.listing() is not None

    def _is_gone(self) -> bool:
        return self.listing() is None

    def _lists_other(self, name: str) -> bool:
        self.listing()
        return any(full_name(other.name) == full_name(name) for other in self._others)

    def _comes_to_go(self, is_gone: Callable[[], bool], timeout_s: float) -> bool:
        """Return whether what was sent away goes within the time; looks at least once, and not at once.

        The server takes a model off its list some 3 ms after it said that it would, and one that is asked for the
        list in that very moment ends: "concurrent map iteration and map write" (ollama/ollama#15528).
        """
        self._clock.sleep(_FIRST_PAUSE_S)
        return self._comes_to_be(is_gone, timeout_s - _FIRST_PAUSE_S)

    def _comes_to_be(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Return whether the server's list comes to be as it should within the time; looks at least once."""
        deadline_s = self._clock.monotonic() + timeout_s
        for pause_s in _growing_pauses():
            if condition():
                return True
            left_s = self._left_s(deadline_s)
            if left_s <= 0:
                return False
            self._clock.sleep(min(pause_s, left_s))
        raise AssertionError("the pauses have no end")

    def _left_s(self, deadline_s: float) -> float:
        return deadline_s - self._clock.monotonic()

    def _read(self, shape: type[_Reply], body: bytes) -> _Reply:
        try:
            return shape.model_validate_json(body)
        except ValidationError as error:
            raise self._failed(
                f"what came is not what Ollama answers: {excerpt(body)}. Is it an Ollama?", {"body": excerpt(body)}
            ) from error

    def _is_about_images(self, error: OllamaFailure) -> bool:
        said = str(error.details.get("error", "")).replace(self._model, "")
        return _ABOUT_IMAGES.search(said) is not None

    def _failed(self, what: str, details: dict[str, Any]) -> OllamaFailure:
        return OllamaFailure(f"The Ollama server at {self._http.url} failed: {what}", details)

    def _still_there(self, name: str, why: str) -> VlmUnloadFailed:
        return VlmUnloadFailed(
            f"{name} is still loaded at {self._http.url} {why}. Look at `ollama ps` and the server's log "
            "there; a restart of the server ends it for certain.",
        )

    def _bad_image(self, error: OllamaFailure) -> InvalidImage:
        return InvalidImage(
            f"{self._model} could not read an image of the question: {error.details['error']} "
            "Send whole PNG or JPEG images, to a model that takes images.",
            error.details,
        )

    def _called_off(self) -> JobCancelled:
        return JobCancelled(f"The question to {self._model} was cancelled while it was being answered.")


def _whole_keep_alive_s(keep_alive_s: float) -> int:
    """Return whole seconds, rounded up: Ollama 0.9 cuts off what is behind the point, and 0 means 'unload'."""
    if not 0 < keep_alive_s <= _MAX_KEEP_ALIVE_S:
        raise InvalidConfiguration(
            f"keep_alive is {keep_alive_s} s; expected is more than 0 and at most {_MAX_KEEP_ALIVE_S} (a year): it is "
            "what frees the memory where a worker has died."
        )
    return math.ceil(keep_alive_s)


def _ollama_options(options: VlmOptions) -> dict[str, Any]:
    """Return the options under Ollama's names, without those that are left to the model."""
    named: dict[str, Any] = {
        "temperature": options.temperature,
        "seed": options.seed,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "num_predict": options.max_tokens,
        "stop": list(options.stop) or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def _growing_pauses() -> Iterator[float]:
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
