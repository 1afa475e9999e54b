"""The target by its recorded picture, in the window that its surroundings predict."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.resolver.placing import Place, is_nearer_than_twins
from singletrack.agent.resolver.recorded_element import RecordedElement
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.templates.differing import is_drawn_otherwise
from singletrack.agent.templates.matching import Match, Matches, best_by_lightness, best_matches, is_flat

SURE_BY_LIGHTNESS: Final = 0.86
# By edges and by weaker lightness only where the surroundings point to within a few pixels.
_SURE_BY_EDGES: Final = 0.6
_WEAK_BY_LIGHTNESS: Final = 0.72
_NEAR_PX: Final = 7.0
_OF_ITS_SIZE: Final = 0.22
# What lies beside the place is compared as well: what is this much more like the picture is what was meant.
_BESIDE_PX: Final = 44
_BETTER: Final = 0.1
_WIDEST_PART: Final = 3
_WIDEST_PART_PX: Final = 60
_HIGHEST_PART_PX: Final = 110
# How far a text's box may be off.
_NEAR: Final = 8


@dataclass(frozen=True, slots=True)
class TemplateFound:
    """The box that looks like the recorded one (None: why not), how alike, and whether anything is there at all."""

    box: Box | None
    score: float
    why: str
    is_empty: bool = False


def look_for(element: RecordedElement, place: Place, seen: SeenScreen) -> TemplateFound:
    """Look for the recorded picture around its place."""
    if is_flat(element.grey):
        return TemplateFound(None, 0.0, "its picture is of one colour")
    sought = _part_of(element)
    middle = _box_middle(sought, element, place)
    window, left, top = _window(sought.box, place, middle, seen)
    if window.size == 0:
        return TemplateFound(None, 0.0, "its place is off the screen")
    search = _Search(element, sought, place, middle, (left, top), window)
    scales = _scales(place.scale)
    by_lightness = best_matches(sought.grey, window, scales, search.room_in(window), by_edges=False)
    if by_lightness is not None and by_lightness.inside.score >= SURE_BY_LIGHTNESS:
        return search.checked(by_lightness)
    by_edges = best_matches(sought.grey, window, scales, search.room_in(window), by_edges=True)
    return search.weaker(by_lightness, by_edges)


@dataclass(frozen=True, eq=False)
class _Part:
    """What is looked for of a picture: of a large one the upper left end, which stays when the rest grows."""

    box: Box
    grey: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Search:
    element: RecordedElement
    sought: _Part
    place: Place
    middle: tuple[float, float]
    corner: tuple[int, int]
    window: NDArray[np.uint8]

    def room_in(self, window: NDArray[np.uint8]) -> tuple[float, float, float, float]:
        """Return where in the window the middle of what is looked for may be: left, top, right, bottom."""
        x, y = self.middle[0] - self.corner[0], self.middle[1] - self.corner[1]
        return x - self.place.room_x, y - self.place.room_y, x + self.place.room_x, y + self.place.room_y

    def weaker(self, by_lightness: Matches | None, by_edges: Matches | None) -> TemplateFound:
        """Judge matches that do not convince by themselves: they have to lie within a few pixels of their place."""
        best = 0.0
        for matches, least in ((by_lightness, _WEAK_BY_LIGHTNESS), (by_edges, _SURE_BY_EDGES)):
            if matches is None:
                continue
            best = max(best, matches.inside.score)
            if matches.inside.score >= least and self._is_close(matches.inside):
                return self.checked(matches)
        return TemplateFound(None, best, f"what is there is not like it ({best:.2f})", is_empty=best == 0.0)

    def checked(self, matches: Matches) -> TemplateFound:
        """Refuse a match that is better elsewhere, nearer to a twin, or not vouched for."""
        element, place, match = self.element, self.place, matches.inside
        off_x, off_y = self._off(match)
        if matches.outside > match.score + _BETTER:
            return TemplateFound(None, match.score, "something beside its place is more like it")
        if not is_nearer_than_twins(element, place, place.x + off_x, place.y + off_y):
            return TemplateFound(None, match.score, "what looks like it lies nearer to one of its twins")
        if element.anchor.twins and not place.is_vouched:
            return TemplateFound(None, match.score, "nothing beside it tells it from those that look the same")
        if self._is_another(match):
            return TemplateFound(None, match.score, "what is there has the same colours, but other strokes")
        return TemplateFound(self._whole(match), match.score, "it looks as recorded, where its surroundings expect it")

    def _is_another(self, match: Match) -> bool:
        if match.scale != 1.0:
            return False
        rows, columns = slice(match.top, match.top + match.height), slice(match.left, match.left + match.width)
        there = self.window[rows, columns]
        return there.shape == self.sought.grey.shape and is_drawn_otherwise(self.sought.grey, there)

    def _is_close(self, match: Match) -> bool:
        box = self.sought.box
        near = max(_NEAR_PX, _OF_ITS_SIZE * min(box.width, box.height)) * max(self.place.scale, 1)
        return max(abs(one) for one in self._off(match)) <= near

    def _off(self, match: Match) -> tuple[float, float]:
        x, y = match.left + match.width / 2 + self.corner[0], match.top + match.height / 2 + self.corner[1]
        return x - self.middle[0], y - self.middle[1]

    def _whole(self, match: Match) -> Box:
        width, height = (round(one * match.scale) for one in (self.element.box.width, self.element.box.height))
        return Box(match.left + self.corner[0], match.top + self.corner[1], max(width, 1), max(height, 1))


def _part_of(element: RecordedElement) -> _Part:
    box = element.box
    height = min(box.height, _HIGHEST_PART_PX)
    width = min(box.width, max(_WIDEST_PART * height, _WIDEST_PART_PX))
    return _Part(Box(box.left, box.top, width, height), element.grey[:height, :width])


def look_at(element: RecordedElement, box: Box, scale: float, seen: SeenScreen) -> TemplateFound:
    """Say how much what is in a box (give or take some pixels) looks like the recorded picture."""
    left, top = max(box.left - _NEAR, 0), max(box.top - _NEAR, 0)
    window = seen.grey[top : box.bottom + _NEAR, left : box.right + _NEAR]
    match = best_by_lightness(element.grey, window, scale) if window.size else None
    if match is None:
        return TemplateFound(None, 0.0, "its picture cannot be compared there")
    why = "it looks as recorded" if match.score >= SURE_BY_LIGHTNESS else f"it looks different ({match.score:.2f})"
    return TemplateFound(_moved(match, left, top), match.score, why)


def _scales(scale: float) -> tuple[float, ...]:
    """Paddings and icons often keep their size where distances grow."""
    wanted = [scale, scale * 0.95, scale * 1.05, math.sqrt(scale), 1.0] if abs(scale - 1) > 0.02 else [1.0]
    return tuple(sorted({round(one, 2) for one in wanted}))


def _window(
    box: Box, place: Place, middle: tuple[float, float], seen: SeenScreen
) -> tuple[NDArray[np.uint8], int, int]:
    """Return the part of the screen where it may be, and some of what is beside that."""
    grown = max(place.scale, 1.0) * 1.05
    half_x = box.width * grown / 2 + place.room_x + _BESIDE_PX
    half_y = box.height * grown / 2 + place.room_y + _BESIDE_PX
    left, top = max(int(middle[0] - half_x), 0), max(int(middle[1] - half_y), 0)
    right, bottom = max(math.ceil(middle[0] + half_x), 0), max(math.ceil(middle[1] + half_y), 0)
    return seen.grey[top:bottom, left:right], left, top


def _box_middle(sought: _Part, element: RecordedElement, place: Place) -> tuple[float, float]:
    """Return where the middle of what is looked for is expected, if that of the element is."""
    then, box = _box_middle_of(element.sought_box), _box_middle_of(sought.box)
    scale = place.scale
    return place.x + scale * (box[0] - then[0]), place.y + scale * (box[1] - then[1])


def _box_middle_of(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def _moved(match: Match, left: int, top: int) -> Box:
    return Box(match.left + left, match.top + top, match.width, match.height)
