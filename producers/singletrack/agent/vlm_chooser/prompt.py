"""The questions: which mark is the target, answered with its number or null; and whether it is, with yes or no."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from singletrack.agent.marks.quoting import HOSTILE_NOTE, describe_marks, quoted_text
from singletrack.agent.targets.anchor import Landmark
from singletrack.agent.targets.element import Mark
from singletrack.agent.targets.target import Target

_DESCRIPTION_CHARS: Final = 300
_NEIGHBOURS = 6


def question(marks: Sequence[Mark], target: Target, width: int, height: int) -> str:
    """Ask for the mark of a target on a picture of that size (pixels)."""
    return "\n".join(
        [
            "The picture is a part of a computer screen. Elements on it are framed and numbered; each number is in a",
            "plate of its frame's colour, beside the frame. Which number is the target's?",
            "If the target is not among them, or you are not sure, the answer is null: a wrong number does harm.",
            HOSTILE_NOTE,
            "",
            "The target:",
            *_described(target),
            "",
            f"The marks, with their centres in the picture's {width} x {height} pixels (texts may be misread):",
            describe_marks(marks),
            "",
            'Answer with JSON alone: {"mark": NUMBER}, or {"mark": null}.',
        ]
    )


def answer_schema(marks: Sequence[Mark]) -> dict[str, Any]:
    """Return the schema of the answer: a number that was drawn, or null."""
    return {
        "type": "object",
        "properties": {"mark": {"enum": [*(mark.number for mark in marks), None]}},
        "required": ["mark"],
        "additionalProperties": False,
    }


def second_question(mark: Mark, target: Target, width: int, height: int) -> str:
    """Ask whether a marked element is the target, on a picture of that size (pixels)."""
    return "\n".join(
        [
            f"The picture is a small part of a computer screen. The element with the number {mark.number} in a plate",
            "beside its frame was taken for the target. Others may be marked, too: they do not matter. Is it the",
            "target? Look at what it shows. If you are not sure, the answer is false: a wrong click does harm.",
            HOSTILE_NOTE,
            "",
            "The target:",
            *_described(target),
            "",
            f"The element, with its centre in the picture's {width} x {height} pixels (its text may be misread):",
            describe_marks([mark]),
            "",
            'Answer with JSON alone: {"is_target": true}, or {"is_target": false}.',
        ]
    )


SECOND_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"is_target": {"type": "boolean"}},
    "required": ["is_target"],
    "additionalProperties": False,
}


def _described(target: Target) -> Iterator[str]:
    anchor = target.anchor
    text = target.text or (anchor.text if anchor else "")
    role = target.role or (anchor.role if anchor else None)
    if text:
        yield f"text: {quoted_text(text)}"
    if target.description:
        yield f"description: {quoted_text(target.description, _DESCRIPTION_CHARS)}"
    if role:
        yield f"role: {role}"
    if anchor and anchor.landmarks:
        nearest = sorted(anchor.landmarks, key=lambda it: it.dx * it.dx + it.dy * it.dy)[:_NEIGHBOURS]
        yield f"texts around it when it was recorded: {', '.join(map(_neighbour, nearest))}"


def _neighbour(landmark: Landmark) -> str:
    if abs(landmark.dx) >= abs(landmark.dy):
        side = "right" if landmark.dx > 0 else "left"
    else:
        side = "below" if landmark.dy > 0 else "above"
    return f"{side} {quoted_text(landmark.text)}"
