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
from singletrack.agent.templates.matching import Match, best_by_edges, best_by_lightness, is_flat

SURE_BY_LIGHTNESS: Final = 0.86
# By edges and by weaker lightness only where the surroundings point to within a few pixels.
_SURE_BY_EDGES: Final = 0.6
_WEAK_BY_LIGHTNESS: Final = 0.72
_NEAR_PX: Final = 7.0
_OF_ITS_SIZE: Final = 0.22
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
    middle = _box_middle(element, place)
    window, left, top = _window(element, place, middle, seen)
    if is_flat(element.grey):
        return TemplateFound(None, 0.0, "its picture is of one colour")
    if window.size == 0:
        return TemplateFound(None, 0.0, "its place is off the screen")
    scales = _scales(place.scale)
    by_lightness = best_by_lightness(element.grey, window, scales)
    if by_lightness is not None and by_lightness.score >= SURE_BY_LIGHTNESS:
        return _checked(element, place, middle, _moved(by_lightness, left, top), by_lightness.score)
    by_edges = best_by_edges(element.grey, window, scales)
    return _weaker(element, place, middle, [by_lightness, by_edges], (left, top))


def look_at(element: RecordedElement, box: Box, scale: float, seen: SeenScreen) -> TemplateFound:
    """Say how much what is in a box (give or take some pixels) looks like the recorded picture."""
    left, top = max(box.left - _NEAR, 0), max(box.top - _NEAR, 0)
    window = seen.grey[top : box.bottom + _NEAR, left : box.right + _NEAR]
    match = best_by_lightness(element.grey, window, (scale,)) if window.size else None
    if match is None:
        return TemplateFound(None, 0.0, "its picture cannot be compared there")
    why = "it looks as recorded" if match.score >= SURE_BY_LIGHTNESS else f"it looks different ({match.score:.2f})"
    return TemplateFound(_moved(match, left, top), match.score, why)


def _weaker(
    element: RecordedElement,
    place: Place,
    middle: tuple[float, float],
    matches: list[Match | None],
    corner: tuple[int, int],
) -> TemplateFound:
    best = 0.0
    for match, least in zip(matches, (_WEAK_BY_LIGHTNESS, _SURE_BY_EDGES), strict=True):
        if match is None:
            continue
        best = max(best, match.score)
        box = _moved(match, *corner)
        if match.score >= least and _is_close(element, place, middle, box):
            return _checked(element, place, middle, box, match.score)
    return TemplateFound(None, best, f"what is there is not like it ({best:.2f})", is_empty=best == 0.0)


def _checked(
    element: RecordedElement, place: Place, middle: tuple[float, float], box: Box, score: float
) -> TemplateFound:
    off_x, off_y = _box_middle_of(box)[0] - middle[0], _box_middle_of(box)[1] - middle[1]
    if not is_nearer_than_twins(element, place, place.expected.x + off_x, place.expected.y + off_y):
        return TemplateFound(None, score, "what looks like it lies nearer to one of its twins")
    if element.anchor.twins and not place.is_vouched:
        return TemplateFound(None, score, "nothing beside it tells it from those that look the same")
    return TemplateFound(box, score, "it looks as recorded, where its surroundings expect it")


def _is_close(element: RecordedElement, place: Place, middle: tuple[float, float], box: Box) -> bool:
    near = max(_NEAR_PX, _OF_ITS_SIZE * min(element.box.width, element.box.height)) * max(place.scale, 1)
    x, y = _box_middle_of(box)
    return abs(x - middle[0]) <= near and abs(y - middle[1]) <= near


def _scales(scale: float) -> tuple[float, ...]:
    """Paddings and icons often keep their size where distances grow."""
    wanted = [scale, scale * 0.95, scale * 1.05, math.sqrt(scale), 1.0] if abs(scale - 1) > 0.02 else [1.0]
    return tuple(sorted({round(one, 2) for one in wanted}))


def _window(
    element: RecordedElement, place: Place, middle: tuple[float, float], seen: SeenScreen
) -> tuple[NDArray[np.uint8], int, int]:
    grown = max(place.scale, 1.0) * 1.05
    half_x = element.box.width * grown / 2 + place.room_x
    half_y = element.box.height * grown / 2 + place.room_y
    left, top = max(int(middle[0] - half_x), 0), max(int(middle[1] - half_y), 0)
    right, bottom = max(math.ceil(middle[0] + half_x), 0), max(math.ceil(middle[1] + half_y), 0)
    return seen.grey[top:bottom, left:right], left, top


def _box_middle(element: RecordedElement, place: Place) -> tuple[float, float]:
    """Return where the middle of the element's box is expected, if that of what is looked for is."""
    sought, box = _box_middle_of(element.sought_box), _box_middle_of(element.box)
    scale = place.scale
    return place.expected.x + scale * (box[0] - sought[0]), place.expected.y + scale * (box[1] - sought[1])


def _box_middle_of(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def _moved(match: Match, left: int, top: int) -> Box:
    return Box(match.left + left, match.top + top, match.width, match.height)
