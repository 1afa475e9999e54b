"""A part of a screenshot with numbered marks on its elements."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from singletrack.agent.marks.candidates import MOST_MARKS, choose_candidates, numbered
from singletrack.agent.marks.drawing import draw_marks
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.element import Element, Mark
from singletrack.agent.targets.geometry import Box, Point


@dataclass(frozen=True, eq=False)
class MarkedPicture:
    """RGB pixels with marks drawn on them, for a `MarkChooser`.

    The boxes of `marks` are in these pixels; `elements` are the same, in the same order, on the screenshot.
    """

    pixels: Pixels
    marks: tuple[Mark, ...]
    elements: tuple[Element, ...]

    @classmethod
    def of(
        cls,
        screenshot: Screenshot,
        elements: Iterable[Element],
        *,
        within: Box | None = None,
        near: Point | None = None,
        limit: int = MOST_MARKS,
    ) -> Self:
        """Mark the elements whose centres lie `within` a box of the screenshot (None: all of it), at most `limit`.

        Where there are too many, those nearest to `near` stay, or those with the best scores.
        """
        part = _inside(within or screenshot.box, screenshot.box)
        chosen = choose_candidates(elements, within=part, near=near, limit=limit)
        shown = [replace(it, box=_inside(it.box, part).moved(-part.left, -part.top)) for it in chosen]
        marks = numbered(shown)
        return cls(draw_marks(screenshot.crop(part), marks), marks, chosen)

    def element(self, number: int) -> Element:
        """Return the element with that mark, as it lies on the screenshot."""
        return self.elements[number - 1]


def _inside(box: Box, bounds: Box) -> Box:
    """The part of a box that lies inside another one."""
    left, top = max(box.left, bounds.left), max(box.top, bounds.top)
    right, bottom = min(box.right, bounds.right), min(box.bottom, bounds.bottom)
    return Box(left, top, max(right - left, 0), max(bottom - top, 0))
