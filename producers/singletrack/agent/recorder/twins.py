"""The other elements of a screen that a recorded one could be taken for."""

from typing import Final

import numpy as np
from rapidfuzz import fuzz

from singletrack.agent.recorder.element_at import ElementAt
from singletrack.agent.seen import SeenScreen
from singletrack.agent.seen.shapes import shapes_of
from singletrack.agent.targets.geometry import Box
from singletrack.agent.templates.matching import Map, correlation, edge_correlation, edges_of, is_flat
from singletrack.agent.words.comparing import are_same_keys
from singletrack.agent.words.label import Label

_KEPT: Final = 12
_MOST: Final = 200
_ALIKE: Final = 0.72
_SAME_SIZE: Final = 0.12
# Looks are compared no farther away: the surroundings are never that wrong.
_FARTHEST_PX: Final = 700
_READ_ALIKE: Final = 75
_SHORT: Final = 4
_ROWS_OF: Final = 5


def twins_of(element: ElementAt, seen: SeenScreen) -> tuple[Box, ...]:
    """Return the boxes of an element's twins, the nearest first: the same text, or where it has none the same looks."""
    if element.label is None:
        return _nearest([*_same_looks(element.box, seen), *_same_frames(element.box, seen)], element.box)
    own = element.label
    others = [one for one in seen.labels if one.box.overlap(own.box) == 0]
    return _nearest([one.box for one in others if are_same_keys(one.key, own.key)], own.box)


def kept_twins(element: ElementAt, twins: tuple[Box, ...], seen: SeenScreen) -> tuple[Box, ...]:
    """Return the nearest twins; of a text also those that an engine might read alike: they are no less in the way."""
    if element.label is None:
        return twins[:_KEPT]
    own = element.label
    others = [one for one in seen.labels if one.box.overlap(own.box) == 0]
    alike = [one.box for one in others if _may_be_read_alike(one, own)]
    if len(own.key) < _SHORT or own.key.isdigit():
        # The same again may stand in the next row, unread.
        alike += [one.box for one in others if _is_above_or_below(one.box, own.box)]
    return _nearest([*twins, *alike], own.box)[:_KEPT]


def _is_above_or_below(box: Box, own: Box) -> bool:
    across = min(box.right, own.right) - max(box.left, own.left)
    return across > 0 and abs(box.center.y - own.center.y) <= _ROWS_OF * own.height


def _may_be_read_alike(one: Label, own: Label) -> bool:
    if one.key.isdigit() and own.key.isdigit():
        return True
    return fuzz.ratio(one.key, own.key) >= _READ_ALIKE


def _same_looks(box: Box, seen: SeenScreen) -> list[Box]:
    crop = seen.grey[box.top : box.bottom, box.left : box.right]
    if is_flat(crop):
        return []
    left, top = max(box.left - _FARTHEST_PX, 0), max(box.top - _FARTHEST_PX, 0)
    part = seen.grey[top : box.bottom + _FARTHEST_PX, left : box.right + _FARTHEST_PX]
    scores = np.maximum(correlation(crop, part), edge_correlation(crop, edges_of(part)))
    peaks = _peaks(scores, box.width, box.height)
    return [one for one in (peak.moved(left, top) for peak in peaks) if one.overlap(box) < 0.3]


def _peaks(scores: Map, width: int, height: int) -> list[Box]:
    found: list[Box] = []
    while len(found) < _MOST:
        top, left = (int(one) for one in np.unravel_index(int(np.argmax(scores)), scores.shape))
        if scores[top, left] < _ALIKE:
            break
        found.append(Box(left, top, width, height))
        half_y, half_x = max(height // 2, 1), max(width // 2, 1)
        scores[max(top - half_y, 0) : top + half_y + 1, max(left - half_x, 0) : left + half_x + 1] = 0
    return found


def _same_frames(box: Box, seen: SeenScreen) -> list[Box]:
    return [
        one
        for one in shapes_of(seen)
        if one.overlap(box) < 0.3
        and abs(one.width - box.width) <= max(_SAME_SIZE * box.width, 3)
        and abs(one.height - box.height) <= max(_SAME_SIZE * box.height, 3)
    ]


def _nearest(boxes: list[Box], own: Box) -> tuple[Box, ...]:
    apart: list[Box] = []
    for box in sorted(boxes, key=lambda one: (_distance(one, own), one.left, one.top)):
        if all(box.overlap(other) < 0.3 for other in apart):
            apart.append(box)
    return tuple(apart)


def _distance(box: Box, own: Box) -> float:
    return float(np.hypot(box.center.x - own.center.x, box.center.y - own.center.y))
