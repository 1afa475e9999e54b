"""Roles by the VLM: one question about all elements that nothing else could tell, as numbered marks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from singletrack.agent.marks.picture import MarkedPicture
from singletrack.agent.marks.quoting import HOSTILE_NOTE, describe_marks
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.element import Element, Mark, Role
from singletrack.client import Client
from singletrack_tasks.errors import AnswerOutsideSchema

# How sure a role is that the VLM has told.
_TOLD: Final = 0.8
_OPTIONS: Final = {"temperature": 0.0, "seed": 0, "max_tokens": 4096}


class VlmRoles:
    """Asks the VLM of a track what marked elements are."""

    def __init__(self, client: Client, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def ask(self, screenshot: Screenshot, elements: Sequence[Element]) -> dict[Element, Element]:
        """Return those elements whose roles the VLM tells, by what they were.

        More elements than there can be marks are cut to the best. Raises the client's errors, `AnswerOutsideSchema`
        for an answer that was cut as well.
        """
        picture = MarkedPicture.of(screenshot, elements)
        answer = self._client.ask(
            _question(picture.marks, screenshot.width, screenshot.height),
            [picture.pixels],
            schema=answer_schema(picture.marks),
            options=_OPTIONS,
            timeout_s=self._timeout_s,
        )
        if answer.truncated is not None:
            raise AnswerOutsideSchema(f"the VLM's answer was cut by {answer.truncated}")
        told: dict[str, Any] = answer.value
        return {
            element: replace(element, role=Role(role), score=_TOLD)
            for mark, element in zip(picture.marks, picture.elements, strict=True)
            if (role := told.get(str(mark.number))) is not None
        }


def answer_schema(marks: Sequence[Mark]) -> dict[str, Any]:
    """Return the schema of the answer: for each mark a role, or null."""
    numbers = [str(mark.number) for mark in marks]
    return {
        "type": "object",
        "properties": {number: {"enum": [*Role, None]} for number in numbers},
        "required": numbers,
        "additionalProperties": False,
    }


def _question(marks: Sequence[Mark], width: int, height: int) -> str:
    return "\n".join(
        [
            "The picture is a computer screen. Elements on it are framed and numbered; each number is in a plate of",
            "its frame's colour, beside the frame. What is each of them to a user? Use null if you are not sure.",
            HOSTILE_NOTE,
            "",
            f"Roles: {', '.join(Role)}.",
            "",
            f"The marks, with guesses of their roles and their centres in the picture's {width} x {height} pixels:",
            describe_marks(marks),
            "",
            'Answer with JSON alone, a role for each number, for example {"1": "button", "2": null}.',
        ]
    )
