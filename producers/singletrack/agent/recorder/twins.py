"""The other elements of a screen that a recorded one could be taken for."""

from typing import Final

import numpy as np

from singletrack.agent.recorder.element_at import ElementAt
from singletrack.agent.seen import SeenScreen
from singletrack.agent.seen.shapes import shapes_of
from singletrack.agent.targets.geometry import Box
from singletrack.agent.templates.matching import correlation, edge_correlation, edges_of, is_flat
from singletrack.agent.words.comparing import are_same_keys

_KEPT: Final = 12
_MOST: Final = 200
_ALIKE: Final = 0.72
_SAME_SIZE: Final = 0.12


def twins_of(element: ElementAt, seen: SeenScreen) -> tuple[Box, ...]:
    """Return the boxes of an element's twins, the nearest first: the same text, or where it has none the same looks."""
    if element.label is not None:
        own = element.label
        boxes = [one.box for one in seen.labels if one is not own and are_same_keys(one.key, own.key)]
        return _nearest(boxes, own.box)
    return _nearest([*_same_looks(element.box, seen), *_same_frames(element.box, seen)], element.box)


def nearest_twins(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """Return those that an anchor keeps."""
    return boxes[:_KEPT]


def _same_looks(box: Box, seen: SeenScreen) -> list[Box]:
    crop = seen.grey[box.top : box.bottom, box.left : box.right]
    if is_flat(crop):
        return []
    if "edges" not in seen.findings:
        seen.findings["edges"] = edges_of(seen.grey)
    scores = np.maximum(correlation(crop, seen.grey), edge_correlation(crop, seen.findings["edges"]))
    found: list[Box] = []
    while len(found) < _MOST:
        top, left = (int(one) for one in np.unravel_index(int(np.argmax(scores)), scores.shape))
        if scores[top, left] < _ALIKE:
            break
        found.append(Box(left, top, box.width, box.height))
        half_y, half_x = max(box.height // 2, 1), max(box.width // 2, 1)
        scores[max(top - half_y, 0) : top + half_y + 1, max(left - half_x, 0) : left + half_x + 1] = 0
    return [one for one in found if one.overlap(box) < 0.3]


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
