"""Questions to a loaded VLM: transient errors are retried, answers are checked against their schema."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from singletrack_tasks.errors import AnswerOutsideSchema, InvalidSchema
from singletrack_tasks.requests.vlm import Ask
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.judge import Judge
from singletrack_worker.gpu.retries import retrying
from singletrack_worker.gpu.stores import Answers
from singletrack_worker.gpu.tenants import Vlm, VlmAnswer
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.settings import GPUResourceConfig

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
    """An answer, its JSON if there was a schema, and how often the model was asked."""

    answer: VlmAnswer
    value: Any
    tries: int


@dataclass
class _Asked:
    """A question in progress, and the number of attempts so far."""

    request: Ask
    images: Sequence[bytes]
    turn: Turn
    attempts: int = 0


class Questions:
    """Asks the VLM."""

    def __init__(self, config: GPUResourceConfig, vlm: Vlm, clock: Clock, answers: Answers, judge: Judge) -> None:
        self._config = config
        self._vlm = vlm
        self._clock = clock
        self._answers = answers
        self._judge = judge

    def ask(self, request: Ask, images: Sequence[bytes], turn: Turn) -> Answered:
        """Ask, and once more if the answer does not fit the schema; a streamed answer is published as it arrives.

        Raises the errors of `Vlm.ask` after the retries, and `AnswerOutsideSchema` with the last raw answer.
        """
        asked = _Asked(request, images, turn)
        try:
            return self._ask_to_fit(asked)
        finally:
            turn.retries = max(0, asked.attempts - 1)
            if request.stream:
                self._answers.flush(turn.job.id)

    def _ask_to_fit(self, asked: "_Asked") -> Answered:
        request, cancellation = asked.request, asked.turn.cancellation
        schema = request.json_schema
        answer = self._ask_once(asked, request.prompt)
        if schema is None:
            return Answered(answer, None, 1)
        try:
            return Answered(answer, self._judge.read(answer.text, schema, cancellation), 1)
        except InvalidSchema:
            raise
        except ValueError as error:
            again = _prompt_after(request.prompt, error)
            # Without the details: they reveal the schema, and names from the answer.
            _log.info("the answer did not fit its schema: asking again")
        answer = self._ask_once(asked, again)
        try:
            return Answered(answer, self._judge.read(answer.text, schema, cancellation), 2)
        except InvalidSchema:
            raise
        except ValueError as error:
            raise AnswerOutsideSchema(
                f"{self._vlm.model} answered outside the schema twice ({error}). Its last answer is in raw_text; try a "
                "larger model, a simpler schema, or more max_tokens.",
                {"raw_text": answer.text},
            ) from error

    def _ask_once(self, asked: "_Asked", prompt: str) -> VlmAnswer:
        request, turn = asked.request, asked.turn
        cancellation = turn.cancellation

        def receive(text: str) -> None:
            if not text:
                return
            turn.heard_token()
            if request.stream:
                self._answers.tell(turn.job.id, asked.attempts, text)

        def attempt() -> VlmAnswer:
            cancellation.check()
            asked.attempts += 1
            turn.enter("read")
            return self._vlm.ask(prompt, asked.images, request.json_schema, request.options, cancellation, receive)

        tries = retrying(
            self._clock,
            attempts=self._config.retry_attempts,
            pause_s=self._config.retry_pause_s,
            cancellation=cancellation,
        )
        return tries(attempt)


def _prompt_after(prompt: str, error: ValueError) -> str:
    return (
        f"{prompt}\n\nYour last answer did not fit the required JSON schema ({error}). "
        "Answer again with fitting JSON only."
    )
