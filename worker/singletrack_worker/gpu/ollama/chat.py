"""One question to a model on an Ollama server, and its streamed answer."""

import base64
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from singletrack_tasks.errors import (
    AnswerTimeout,
    ImagesUnsupported,
    JobCancelled,
    OnlyThought,
    PromptTooLong,
    SingletrackError,
)
from singletrack_tasks.requests.vlm import Cut, VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.ollama.card import ModelCard, Room
from singletrack_worker.gpu.ollama.connections import Hangup
from singletrack_worker.gpu.ollama.grammar import affordable
from singletrack_worker.gpu.ollama.http import OllamaHttp
from singletrack_worker.gpu.ollama.privacy import Secrets
from singletrack_worker.gpu.ollama.refusals import NUM_CTX_SETTING, too_long
from singletrack_worker.gpu.ollama.replies import Chunk
from singletrack_worker.gpu.ollama.runner import RunnerSettings
from singletrack_worker.gpu.ollama.spoken import Spoken
from singletrack_worker.gpu.tenants import VlmAnswer


class Chat:
    """Puts questions to our model; `timeout_s` bounds a whole answer and each silence in it."""

    def __init__(
        self, http: OllamaHttp, runner: RunnerSettings, card: ModelCard, clock: Clock, timeout_s: float
    ) -> None:
        self._http = http
        self._runner = runner
        self._card = card
        self._clock = clock
        self._timeout_s = timeout_s

    def ask(
        self,
        prompt: str,
        images: Sequence[bytes],
        json_schema: JsonSchema | None,
        options: VlmOptions,
        cancellation: Cancellation,
        on_text: Callable[[str], None],
    ) -> VlmAnswer:
        """Put a question, as `Vlm.ask` does."""
        if images and self._card.sees_images() is False:
            raise ImagesUnsupported.of(self._runner.model)
        room = self._card.room()
        hangup = Hangup()
        secrets = Secrets(prompt, "" if json_schema is None else json.dumps(json_schema))
        cancellation.on_cancel(hangup.cut)
        try:
            spoken = Spoken(secrets, on_text)
            last = self._hear(self._question(prompt, images, json_schema, options), hangup, secrets, spoken)
        except SingletrackError as error:
            if cancellation.cancelled:
                raise self._cancelled() from error
            raise
        finally:
            cancellation.on_cancel(None)
        if cancellation.cancelled:
            raise self._cancelled()
        return self._answer(spoken, last, room, options)

    def _question(
        self, prompt: str, images: Sequence[bytes], json_schema: JsonSchema | None, options: VlmOptions
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "user", "content": prompt}
        if images:
            message["images"] = [base64.b64encode(image).decode("ascii") for image in images]
        body = self._runner.request(stream=True, **_ollama_options(options))
        body["messages"] = [message]
        # Newer servers say that a prompt is too long then, instead of cutting it; older ones do not know the field.
        body["truncate"] = False
        if options.think is not None:
            body["think"] = options.think
        if json_schema is not None:
            body["format"] = affordable(json_schema)
        return body

    def _hear(self, question: dict[str, Any], hangup: Hangup, secrets: Secrets, spoken: Spoken) -> Chunk:
        """Hear the whole answer; returns its last line, which has the figures."""
        deadline_s = self._clock.monotonic() + self._timeout_s
        # Closed here and not by the garbage collector: the server goes on for as long as the connection stands.
        with contextlib.closing(self._http.stream("/api/chat", question, self._timeout_s, hangup, secrets)) as lines:
            for line in lines:
                chunk = self._http.read(Chunk, line, secret=True)
                if chunk.error is not None:
                    raise self._http.broke_off(chunk.error, question, secrets)
                spoken.add(chunk.message)
                if chunk.done:
                    return chunk
                if self._clock.monotonic() >= deadline_s:
                    raise self._too_long()
        raise self._http.failed("the answer ended in the middle", {"characters": len(spoken.text)})

    def _answer(self, spoken: Spoken, last: Chunk, room: Room, options: VlmOptions) -> VlmAnswer:
        """Return an answer that is one; raises `PromptTooLong` and `OnlyThought`."""
        self._refuse_cut_prompt(last.prompt_eval_count, room.prompt_tokens)
        cut = last.cut_by(options.max_tokens, room.context_tokens)
        if spoken.is_only_thought:
            raise self._only_thought(spoken, last, cut)
        return last.answer(
            spoken.text, truncated=cut, thought_chars=spoken.thought_chars, context_tokens=room.context_tokens
        )

    def _refuse_cut_prompt(self, prompt_tokens: int | None, most_tokens: int | None) -> None:
        """Raise `PromptTooLong` for a prompt that fills the context: what was too long was left out in silence.

        The model has answered another question then, and there was no room for any answer.
        """
        if prompt_tokens is None or most_tokens is None or prompt_tokens < most_tokens:
            return
        raise PromptTooLong(
            f"{too_long(self._runner.model, None, most_tokens)} The server cut it without a word.",
            {"prompt_tokens": prompt_tokens, "context_tokens": most_tokens, "cut": True},
        )

    def _only_thought(self, spoken: Spoken, last: Chunk, cut: Cut | None) -> OnlyThought:
        spent = "some tokens" if last.eval_count is None else f"{last.eval_count:,} tokens"
        why = {"max_tokens": "max_tokens was reached", "context": "its context was full", None: "it stopped by itself"}
        return OnlyThought(
            f"{self._runner.model} spent {spent} on thinking and gave no answer: {why[cut]}. Allow more "
            f"with max_tokens, have it think less (option `think`), or set {NUM_CTX_SETTING} on the worker to more.",
            {"thought_chars": spoken.thought_chars, "answer_tokens": last.eval_count, "truncated": cut},
        )

    def _cancelled(self) -> JobCancelled:
        return JobCancelled(f"The question to {self._runner.model} was cancelled while it was being answered.")

    def _too_long(self) -> AnswerTimeout:
        return AnswerTimeout(
            f"{self._runner.model} was still answering after {self._timeout_s:g} s and was cut off. Set max_tokens, or "
            "allow more time with SINGLETRACK_ANSWER_TIMEOUT_S."
        )


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
