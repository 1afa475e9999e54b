"""A `MarkChooser` that asks the VLM of a track."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from singletrack.agent.marks.candidates import MOST_MARKS
from singletrack.agent.marks.chooser import Choice
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Mark
from singletrack.agent.targets.target import Target
from singletrack.agent.vlm_chooser.prompt import SECOND_SCHEMA, answer_schema, question, second_question
from singletrack.answers import Answer
from singletrack.client import Client
from singletrack_tasks.errors import AnswerOutsideSchema, AnswerTimeout, DeadlinePassed, OnlyThought, SingletrackError

DEFAULT_TIMEOUT_S: Final = 120.0
# What a second look shows, if the mark is no larger.
_CLOSE_PX: Final = (560, 360)
# The answer takes a dozen tokens; a model that thinks first needs more, and is not to think for minutes.
_OPTIONS: Final = {"temperature": 0.0, "seed": 0, "max_tokens": 2048}
# With these a model has seen the question; all other errors came before that.
_MODEL_AT_WORK = (AnswerOutsideSchema, AnswerTimeout, OnlyThought)


class VlmChooser:
    """Asks the VLM which mark is the target; its answer can only be a mark's number, or none.

    With `looks_twice` it asks once more, about the chosen mark alone and on a smaller part of the picture, and takes
    nothing that is not confirmed. `timeout_s` bounds all of it, the queue and the loading of the model included.
    `model` None is the one that the track serves. An error of the client or the worker becomes a `Choice` of no mark
    that names it.
    """

    def __init__(
        self,
        client: Client,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        model: str | None = None,
        looks_twice: bool = True,
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._model = model
        self._looks_twice = looks_twice

    def choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target) -> Choice:
        """Choose the mark that is the target; boxes of `marks` are in `pixels` (RGB), which show them."""
        if not marks:
            return Choice(None, "there is no mark to choose from", asked=False)
        if len(marks) > MOST_MARKS:
            return Choice(None, f"{len(marks)} marks are too many to choose from: at most {MOST_MARKS}", asked=False)
        began_s = time.monotonic()
        try:
            choice = self._choose(pixels, marks, target, began_s)
        except SingletrackError as error:
            why = f"{type(error).__name__}: {error.message}"
            choice = Choice(None, why, asked=isinstance(error, _MODEL_AT_WORK))
        return replace(choice, took_ms=(time.monotonic() - began_s) * 1000)

    def _choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target, began_s: float) -> Choice:
        asked = question(marks, target, pixels.shape[1], pixels.shape[0])
        answer = self._ask(asked, pixels, answer_schema(marks), began_s)
        number, why = _read(answer.value, marks, answer.truncated)
        model, queued_ms = answer.result.model, _queued_ms(answer)
        if number is None or not self._looks_twice:
            return Choice(number, why, model=model, queued_ms=queued_ms)
        part, mark = _close_up(pixels, next(mark for mark in marks if mark.number == number))
        asked = second_question(mark, target, part.shape[1], part.shape[0])
        second = self._ask(asked, part, SECOND_SCHEMA, began_s)
        is_confirmed = second.truncated is None and second.value == {"is_target": True}
        why = f"{why}, and {'confirmed it' if is_confirmed else 'did not confirm it'}"
        queued_ms += _queued_ms(second)
        return Choice(number if is_confirmed else None, why, model=model, queued_ms=queued_ms)

    def _ask(self, asked: str, pixels: Pixels, schema: dict[str, Any], began_s: float) -> Answer[Any]:
        left_s = began_s + self._timeout_s - time.monotonic()
        if left_s <= 0:
            raise DeadlinePassed(f"the VLM took all of the {self._timeout_s:g} s for its first answer")
        return self._client.ask(asked, [pixels], schema=schema, options=_OPTIONS, model=self._model, timeout_s=left_s)


def _queued_ms(answer: Answer[Any]) -> float:
    return 1000 * (answer.result.waited_s or 0.0)


def _close_up(pixels: Pixels, mark: Mark) -> tuple[Pixels, Mark]:
    """The mark with its surroundings, and as it lies there."""
    box, (height, width) = mark.element.box, pixels.shape[:2]
    left = max(min(box.center.x - max(_CLOSE_PX[0] // 2, box.width), width - 1), 0)
    top = max(min(box.center.y - max(_CLOSE_PX[1] // 2, box.height), height - 1), 0)
    right, bottom = box.center.x + max(_CLOSE_PX[0] // 2, box.width), box.center.y + max(_CLOSE_PX[1] // 2, box.height)
    moved = replace(mark, element=replace(mark.element, box=box.moved(-left, -top)))
    return np.ascontiguousarray(pixels[top:bottom, left:right]), moved


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
