"""Answers questions about marks on known scenes from the truth, by a look at the picture that comes with them."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from singletrack_ops.stand_in.replies import Meaningless, Reply, spoken
from singletrack_ops.stand_in.truth import PartOfScene, TrueElement, Truth, decode_picture

_MARK: Final = re.compile(r'^(\d+): (\S+) (".*") at (\d+),(\d+)$', re.MULTILINE)
_ASKED_FOR: Final = re.compile(r'^(text|description): (".*")$', re.MULTILINE)
_ROLE: Final = re.compile(r"^role: (\w+)$", re.MULTILINE)
# What scenes call other than the agent's side does.
_ROLES: Final = {"input": "field", "menu": "menu_item", "toggle": "checkbox"}
_WORDS = 8


class Shown(NamedTuple):
    """A mark as the question lists it: its number, and its centre in pixels of the picture."""

    number: int
    x: int
    y: int


class Sighted:
    """Looks which scene a picture shows, and which mark lies on the element that is asked for.

    Where none does it says null, or no. `names` are further names of elements, as `scene/id`. Questions that show no
    marks get answers without a meaning.
    """

    def __init__(self, truth: Truth, names: Mapping[str, str] | None = None) -> None:
        self._truth = truth
        self._names = {name.casefold(): where for name, where in (names or {}).items()}

    def reply(self, question: Mapping[str, Any]) -> Reply:
        """Answer the body of a request to `/api/chat`."""
        message = question["messages"][-1]
        prompt, pictures = str(message.get("content", "")), message.get("images") or ()
        marks = [Shown(int(it[1]), int(it[4]), int(it[5])) for it in _MARK.finditer(prompt)]
        wanted = (question.get("format") or {}).get("properties", {})
        if not marks or not pictures or not wanted:
            return Meaningless(_WORDS).reply(question)
        seen = self._truth.look(decode_picture(pictures[0]))
        mark = None if seen is None else self._mark(prompt, marks, seen)
        if "mark" in wanted:
            answer: dict[str, Any] = {"mark": mark}
        elif "is_target" in wanted:
            answer = {"is_target": mark is not None}
        else:
            answer = {name: None if seen is None else _role_at(name, marks, seen) for name in wanted}
        return Reply(spoken(json.dumps(answer)))

    def _mark(self, prompt: str, marks: Sequence[Shown], seen: PartOfScene) -> int | None:
        elements = [it for it in self._meant(prompt, seen) if seen.shows(it)]
        if len(elements) != 1:
            return None
        left, top, width, height = seen.box_of(elements[0])
        on_it = [it for it in marks if left <= it.x < left + width and top <= it.y < top + height]
        middle = (left + width / 2, top + height / 2)
        nearest = min(on_it, key=lambda it: abs(it.x - middle[0]) + abs(it.y - middle[1]), default=None)
        return None if nearest is None else nearest.number

    def _meant(self, prompt: str, seen: PartOfScene) -> list[TrueElement]:
        """The elements that the target's description or text names, of its role if there are several."""
        told = {kind: str(json.loads(text)) for kind, text in _ASKED_FOR.findall(prompt)}
        role = _ROLE.search(prompt)
        for name in (told.get("description"), told.get("text")):
            meant = self._called(name.casefold(), seen) if name else []
            if len(meant) > 1 and role is not None:
                meant = [it for it in meant if _role(it) == role[1]]
            if meant:
                return meant
        return []

    def _called(self, name: str, seen: PartOfScene) -> list[TrueElement]:
        where = self._names.get(name)
        if where is not None:
            return [it for it in seen.scene.elements if f"{seen.scene.name}/{it.id}" == where]
        return [it for it in seen.scene.elements if name in (it.id.casefold(), it.label.casefold())]


def _role_at(number: str, marks: Sequence[Shown], seen: PartOfScene) -> str | None:
    """The role of the smallest element under a mark, None where there is none."""
    for mark in (it for it in marks if str(it.number) == number):
        at = (mark.x + seen.left, mark.y + seen.top)
        under = [it for it in seen.scene.elements if _contains(it.box, *at)]
        return _role(min(under, key=lambda it: it.box[2] * it.box[3])) if under else None
    return None


def _contains(box: tuple[int, int, int, int], x: int, y: int) -> bool:
    left, top, width, height = box
    return left <= x < left + width and top <= y < top + height


def _role(element: TrueElement) -> str | None:
    role = _ROLES.get(element.role, element.role)
    return None if role == "slider" else role
