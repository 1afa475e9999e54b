"""One question to a model on an Ollama server, and its streamed answer."""

import base64
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from singletrack_tasks.errors import AnswerTimeout, JobCancelled, SingletrackError
from singletrack_tasks.requests.vlm import VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.ollama.connections import Hangup
from singletrack_worker.gpu.ollama.http import OllamaHttp
from singletrack_worker.gpu.ollama.privacy import Secrets
from singletrack_worker.gpu.ollama.replies import Chunk
from singletrack_worker.gpu.ollama.runner import RunnerSettings
from singletrack_worker.gpu.tenants import VlmAnswer


class Chat:
    """Puts questions to our model; `timeout_s` bounds a whole answer and each silence in it."""

    def __init__(self, http: OllamaHttp, runner: RunnerSettings, clock: Clock, timeout_s: float) -> None:
        self._http = http
        self._runner = runner
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
        hangup = Hangup()
        secrets = Secrets(prompt, "" if json_schema is None else json.dumps(json_schema))
        cancellation.on_cancel(hangup.cut)
        try:
            answer = self._answer(self._question(prompt, images, json_schema, options), hangup, secrets, on_text)
        except SingletrackError as error:
            if cancellation.cancelled:
                raise self._cancelled() from error
            raise
        finally:
            cancellation.on_cancel(None)
        if cancellation.cancelled:
            raise self._cancelled()
        return answer

    def _question(
        self, prompt: str, images: Sequence[bytes], json_schema: JsonSchema | None, options: VlmOptions
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "user", "content": prompt}
        if images:
            message["images"] = [base64.b64encode(image).decode("ascii") for image in images]
        body = self._runner.request(stream=True, **_ollama_options(options))
        body["messages"] = [message]
        if json_schema is not None:
            body["format"] = json_schema
        return body

    def _answer(
        self, question: dict[str, Any], hangup: Hangup, secrets: Secrets, on_text: Callable[[str], None]
    ) -> VlmAnswer:
        deadline_s = self._clock.monotonic() + self._timeout_s
        texts: list[str] = []
        # Closed here and not by the garbage collector: the server goes on for as long as the connection stands.
        with contextlib.closing(self._http.stream("/api/chat", question, self._timeout_s, hangup, secrets)) as lines:
            for line in lines:
                chunk = self._http.read(Chunk, line, secret=True)
                if chunk.error is not None:
                    raise self._http.broke_off(chunk.error, question, secrets)
                secrets.add(chunk.message.content)
                texts.append(chunk.message.content)
                on_text(chunk.message.content)
                if chunk.done:
                    return chunk.answer("".join(texts))
                if self._clock.monotonic() >= deadline_s:
                    raise self._too_long()
        raise self._http.failed("the answer ended in the middle", {"characters": sum(map(len, texts))})

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
