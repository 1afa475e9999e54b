"""A VLM on an Ollama server: loaded means listed as loaded, unloaded means no longer listed."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from singletrack_tasks.errors import (
    InvalidConfiguration,
    ModelMissing,
    OllamaFailure,
    OllamaRefusal,
    VlmUnloadFailed,
)
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.ollama.card import ModelCard
from singletrack_worker.gpu.ollama.chat import Chat
from singletrack_worker.gpu.ollama.http import OllamaHttp
from singletrack_worker.gpu.ollama.loaded import LoadedModels
from singletrack_worker.gpu.ollama.replies import Done, Version
from singletrack_worker.gpu.ollama.runner import RunnerSettings
from singletrack_worker.gpu.tenants import OtherModel, VlmAnswer, VlmListing, ignore_text

# How long another's model may take to unload while everybody waits for the GPU.
OTHER_GONE_S = 2.0
# How long the server may take to list a model that it says it has loaded.
_LISTED_WITHIN_S = 10.0
_MAX_KEEP_ALIVE_S = 365 * 24 * 3600
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.25
_ASK_AGAIN_S = 1.0


@dataclass(frozen=True)
class OllamaTimeouts:
    """How long a load, a whole answer (and each silence in it) and an unload may take, in seconds."""

    load_s: float
    answer_s: float
    unload_s: float


class OllamaManager:
    """One model on one Ollama server, a `Vlm`; it tries nothing twice.

    `keep_alive_s` is how long the server keeps an unused model that nobody unloads: it frees the memory if the worker
    dies. `num_ctx` None leaves the context length to the server. Raises `InvalidConfiguration`.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        clock: Clock,
        keep_alive_s: float,
        timeouts: OllamaTimeouts,
        num_ctx: int | None = None,
    ) -> None:
        if not model.strip():
            raise InvalidConfiguration("the VLM has no name: expected one that `ollama list` shows, such as llava:7b")
        self._runner = RunnerSettings(model.strip(), _whole_keep_alive_s(keep_alive_s), num_ctx)
        self._clock = clock
        self._timeouts = timeouts
        self._http = OllamaHttp(url)
        self._loaded = LoadedModels(self._http, self.model)
        self._card = ModelCard(self._http, self._runner, self._loaded)
        self._chat = Chat(self._http, self._runner, self._card, clock, timeouts.answer_s)
        self._moving = threading.Lock()

    @property
    def model(self) -> str:
        """Return the name of the model, as it was given."""
        return self._runner.model

    @property
    def others(self) -> tuple[OtherModel, ...]:
        """Return the other models that the server listed when `listing` was last answered."""
        return self._loaded.others

    def listing(self) -> VlmListing | None:
        """Return what the server lists of the model, under whatever name, None if it is not loaded.

        Some servers (0.9) list a model while it is loading, others (0.32) do not. Raises `OllamaUnreachable`,
        `OllamaFailure`.
        """
        return self._loaded.ours()

    def load(self) -> None:
        """Load the model, one attempt; returns when it is listed.

        Raises `OllamaUnreachable`, `ModelMissing`, `OllamaFailure`.
        """
        with self._moving:
            self._loaded.forget_digest()
            # Hanging up cancels the load, so nothing shorter than the load's own time-out will do.
            body = self._runner.request(stream=False)
            reply = self._http.read(Done, self._http.post("/api/generate", body, self._timeouts.load_s))
            if not reply.done or not self._comes_true(self._loaded.lists_ours, _LISTED_WITHIN_S):
                raise OllamaFailure(
                    f"The Ollama server at {self._http.url} says it loaded {self.model}, but does not list it: "
                    "another model may have taken its place. Look at `ollama ps` there.",
                )

    def unload(self) -> None:
        """Unload the model; returns when it is no longer listed, at once if it was not loaded.

        A load of ours that is under way is waited for first; servers that wait (0.9) also wait for somebody else's.
        Raises `OllamaUnreachable`, `OllamaFailure`, `VlmUnloadFailed`.
        """
        with self._moving:
            unload_s = self._timeouts.unload_s
            deadline_s = self._clock.monotonic() + unload_s
            # Sent without a look at the list, which some servers leave empty while a model is loading.
            self._send_away(self.model, self._loaded.lists_ours, unload_s)
            while not self._leaves(self._loaded.lists_ours, min(_ASK_AGAIN_S, self._left_s(deadline_s))):
                if self._left_s(deadline_s) <= _FIRST_PAUSE_S:
                    raise self._still_loaded(self.model, f"{unload_s:g} s after it was told to unload")
                # Some servers lose a request that comes during a load.
                self._send_away(self.model, self._loaded.lists_ours, self._left_s(deadline_s))

    def unload_other(self, name: str) -> None:
        """Unload another model; returns when it is no longer listed, at once if it was not loaded.

        One that is answering somebody unloads afterwards, and is waited for only a moment. Raises
        `OllamaUnreachable`, `OllamaFailure`, `VlmUnloadFailed`.
        """

        def is_listed() -> bool:
            return self._loaded.lists_other(name)

        with self._moving:
            self._send_away(name, is_listed, OTHER_GONE_S)
            if not self._leaves(is_listed, OTHER_GONE_S):
                raise self._still_loaded(
                    name, f"{OTHER_GONE_S:g} s after it was told to unload: it may be answering somebody"
                )

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

        Raises `OllamaUnreachable`, `OllamaFailure`, `ModelMissing`, `AnswerTimeout`, `InvalidImage` for an image that
        the server cannot read, `ImagesUnsupported`, `PromptTooLong` for a prompt that it refused or cut, `OnlyThought`,
        `InvalidSchema` for a schema that it cannot use, and `JobCancelled` once `cancellation` is: the connection is
        cut then, even while the server is still reading the question, and the server stops.
        """
        return self._chat.ask(prompt, images, json_schema, options, cancellation, on_text)

    def goes_by(self, name: str) -> bool:
        """Return whether a name is one of the model's; raises `OllamaUnreachable`, `OllamaFailure`."""
        return self._loaded.goes_by(name)

    def exists(self) -> bool:
        """Return whether the server has the model; raises `OllamaUnreachable`, `OllamaFailure`."""
        try:
            self._card.ask()
        except ModelMissing:
            return False
        return True

    def sees_images(self) -> bool | None:
        """Return whether the model takes images, None from a server too old to tell.

        Raises `OllamaUnreachable`, `ModelMissing`.
        """
        return self._card.sees_images()

    def version(self) -> str:
        """Return the server's version; raises `OllamaUnreachable`, `OllamaFailure`."""
        return self._http.read(Version, self._http.get("/api/version")).version

    def close(self) -> None:
        """End connections; harmless when repeated."""
        self._http.close()

    def _send_away(self, name: str, is_listed: Callable[[], bool], timeout_s: float) -> None:
        """Tell the server to unload a model, which is a request without a prompt that keeps it for 0 s."""
        body = self._runner.request(stream=False) | {"model": name, "keep_alive": 0}
        try:
            self._http.post("/api/generate", body, timeout_s)
        except (ModelMissing, OllamaFailure, OllamaRefusal) as error:  # missing: it was deleted, which leaves it loaded
            if is_listed():
                raise self._still_loaded(name, f"and could not be unloaded ({error.message})") from error

    def _leaves(self, is_listed: Callable[[], bool], timeout_s: float) -> bool:
        """Return whether a model that was sent away leaves the list in time; looks at least once, after a pause.

        The server takes a model off its list some 3 ms after it said that it would, and crashes when asked for the
        list in that very moment: "concurrent map iteration and map write" (ollama/ollama#15528).
        """
        self._clock.sleep(_FIRST_PAUSE_S)
        return self._comes_true(lambda: not is_listed(), timeout_s - _FIRST_PAUSE_S)

    def _comes_true(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Return whether a condition comes true in time; looks at least once."""
        deadline_s = self._clock.monotonic() + timeout_s
        for pause_s in _growing_pauses_s():
            if condition():
                return True
            left_s = self._left_s(deadline_s)
            if left_s <= 0:
                return False
            self._clock.sleep(min(pause_s, left_s))
        raise AssertionError("the pauses never end")

    def _left_s(self, deadline_s: float) -> float:
        return deadline_s - self._clock.monotonic()

    def _still_loaded(self, name: str, why: str) -> VlmUnloadFailed:
        return VlmUnloadFailed(
            f"{name} is still loaded at {self._http.url} {why}. Look at `ollama ps` and the server's log "
            "there; a restart of the server is sure to unload it.",
        )


def _whole_keep_alive_s(keep_alive_s: float) -> int:
    """Return whole seconds, rounded up: Ollama 0.9 drops the fraction, and 0 means 'unload'."""
    if not 0 < keep_alive_s <= _MAX_KEEP_ALIVE_S:
        raise InvalidConfiguration(
            f"keep_alive is {keep_alive_s} s; it must be more than 0 and at most {_MAX_KEEP_ALIVE_S} (a year): it "
            "frees the memory if the worker dies."
        )
    return math.ceil(keep_alive_s)


def _growing_pauses_s() -> Iterator[float]:
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
