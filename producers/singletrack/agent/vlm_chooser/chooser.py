"""A `MarkChooser` that asks the VLM of a track."""

import time
from collections.abc import Sequence
from typing import Any, Final

from singletrack.agent.marks.candidates import MOST_MARKS
from singletrack.agent.marks.chooser import Choice
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Mark
from singletrack.agent.targets.target import Target
from singletrack.agent.vlm_chooser.prompt import answer_schema, question
from singletrack.client import Client
from singletrack_tasks.errors import AnswerOutsideSchema, AnswerTimeout, OnlyThought, SingletrackError

DEFAULT_TIMEOUT_S: Final = 120.0
# The answer takes a dozen tokens; a model that thinks first needs more, and is not to think for minutes.
_OPTIONS: Final = {"temperature": 0.0, "seed": 0, "max_tokens": 2048}
# With these a model has seen the question; all other errors came before that.
_MODEL_AT_WORK = (AnswerOutsideSchema, AnswerTimeout, OnlyThought)


class VlmChooser:
    """Asks the VLM once which mark is the target; its answer can only be a mark's number, or none.

    `timeout_s` bounds all of a question, the queue and the loading of the model included; `model` None is the one that
    the track serves. An error of the client or the worker becomes a `Choice` of no mark that names it.
    """

    def __init__(self, client: Client, *, timeout_s: float = DEFAULT_TIMEOUT_S, model: str | None = None) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._model = model

    def choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target) -> Choice:
        """Choose the mark that is the target; boxes of `marks` are in `pixels` (RGB), which show them."""
        if not marks:
            return Choice(None, "there is no mark to choose from", asked=False)
        if len(marks) > MOST_MARKS:
            return Choice(None, f"{len(marks)} marks are too many to choose from: at most {MOST_MARKS}", asked=False)
        began_s = time.monotonic()
        try:
            answer = self._client.ask(
                question(marks, target, pixels.shape[1], pixels.shape[0]),
                [pixels],
                schema=answer_schema(marks),
                options=_OPTIONS,
                model=self._model,
                timeout_s=self._timeout_s,
            )
        except SingletrackError as error:
            why = f"{type(error).__name__}: {error.message}"
            return Choice(None, why, asked=isinstance(error, _MODEL_AT_WORK), took_ms=_ms_since(began_s))
        number, why = _read(answer.value, marks, answer.truncated)
        queued_ms = 1000 * (answer.result.waited_s or 0.0)
        return Choice(number, why, model=answer.result.model, took_ms=_ms_since(began_s), queued_ms=queued_ms)


def _read(value: Any, marks: Sequence[Mark], cut: str | None) -> tuple[int | None, str]:
    if cut is not None:
        return None, f"the VLM's answer was cut by {cut}"
    chosen = value.get("mark") if isinstance(value, dict) else None
    if chosen is None:
        return None, "the VLM says that none of the marks is the target"
    # JSON's 3.0 equals the schema's 3.
    numbers = {mark.number for mark in marks}
    if isinstance(chosen, bool) or chosen not in numbers:
        return None, f"the VLM's answer is no mark: {str(chosen)[:20]!r}"
    return int(chosen), f"the VLM chose mark {int(chosen)}"


def _ms_since(began_s: float) -> float:
    return (time.monotonic() - began_s) * 1000
