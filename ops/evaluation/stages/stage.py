"""The port to a toolkit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from evaluation.looks import Look
from evaluation.truth import TrueElement
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box, Point


class Missing(Exception):
    """A machine that lacks a toolkit; the message says which, and what it would take."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A page as it is shown: RGB pixels, and its elements in physical pixels."""

    pixels: Pixels
    elements: tuple[TrueElement, ...]


class Stage(Protocol):
    """A page in a toolkit; used with `with`."""

    def show(self, look: Look) -> Scene:
        """Show the page. Raises `ValueError` if it does not come out right."""

    def without(self, ids: Sequence[str]) -> Pixels:
        """Take a picture with some elements hidden, all others where they were."""

    def __enter__(self) -> Self:
        """Open it."""

    def __exit__(self, *_: object) -> None:
        """Close it."""


def to_element(told: dict[str, Any]) -> TrueElement:
    """Return an element as a page tells it: boxes are [left, top, width, height], points [x, y]."""
    return TrueElement.model_validate({**told, "box": Box(*told["box"]), "click": Point(*told["click"])})
