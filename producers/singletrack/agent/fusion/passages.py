"""Texts of a screen, put together into passages that CLIP reads to the end."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from singletrack.agent.errors import InvalidState
from singletrack.agent.targets.element import Element, Role

T = TypeVar("T")

MAX_TEXTS = 20_000
# CLIP reads 77 tokens: fewer characters of numbers than of words.
PASSAGE_CHARS = 200
MAX_PASSAGES = 96
# A passage ends after one text of so many, chosen by what it says: a text that is new on the screen then changes its
# own passage, and the others are found in the cache.
_ENDS_AFTER_ONE_OF = 12


class Texted(Protocol):
    """Whatever bears a text: a label, a line, an element."""

    @property
    def text(self) -> str:
        """What it says."""


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages and how much each counts; `is_cut` if there were more than `MAX_PASSAGES`."""

    texts: tuple[str, ...]
    weights: tuple[float, ...]
    is_cut: bool = False

    @classmethod
    def of(cls, passages: Sequence[str]) -> "Passages":
        """Weigh passages by their length."""
        taken = tuple(passages[:MAX_PASSAGES])
        return cls(taken, tuple(float(len(text)) for text in taken), len(passages) > MAX_PASSAGES)


def passages_of_texts(texts: Iterable[str | Texted]) -> Passages:
    """Join texts, in the order of reading, into passages; raises `InvalidState` for more than `MAX_TEXTS`."""
    said = [_tidy(one if isinstance(one, str) else one.text) for one in _bounded(texts)]
    return Passages.of(_joined([text for text in said if text]))


def passages_of_elements(elements: Iterable[Element]) -> Passages:
    """Say what elements there are, role by role; raises `InvalidState` for more than `MAX_TEXTS`."""
    by_role: dict[Role | None, list[str]] = {}
    for element in _bounded(elements):
        by_role.setdefault(element.role, []).append(_tidy(element.text))
    return Passages.of(
        [
            f"{len(by_role[role])} {'elements' if role is None else role.replace('_', ' ')}: {passage}".strip(" :")
            for role in sorted(by_role, key=str)
            for passage in _joined([text for text in by_role[role] if text]) or [""]
        ]
    )


def passages_of_title(title: str) -> Passages:
    """Take a window's title."""
    return passages_of_texts([title])


def _bounded(things: Iterable[T]) -> list[T]:
    if isinstance(things, str):
        raise InvalidState("The texts of a screen are a list. Write [...] around a single one.")
    taken = list(things)
    if len(taken) > MAX_TEXTS:
        raise InvalidState(
            f"A screen has at most {MAX_TEXTS} texts or elements, this one {len(taken)}: leave some out."
        )
    return taken


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _joined(texts: Sequence[str]) -> list[str]:
    passages: list[str] = []
    current = ""
    for text in (piece for one in texts for piece in _pieces(one)):
        if current and len(current) + 1 + len(text) > PASSAGE_CHARS:
            passages.append(current)
            current = ""
        current = f"{current} {text}".strip()
        if zlib.crc32(text.encode(errors="replace")) % _ENDS_AFTER_ONE_OF == 0:
            passages.append(current)
            current = ""
    return [*passages, current] if current else passages


def _pieces(text: str) -> list[str]:
    return [text[start : start + PASSAGE_CHARS].strip() for start in range(0, len(text), PASSAGE_CHARS)]
