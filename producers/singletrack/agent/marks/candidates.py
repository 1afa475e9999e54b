"""Which elements get a mark: no two at one place, at most so many, in reading order."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from singletrack.agent.targets.element import Element, Mark
from singletrack.agent.targets.geometry import Box, Point

# More numbers than that cover a screen, and are more than a VLM tells apart.
MOST_MARKS: Final = 60
# Two boxes are one place if they share so much of both together,
_SAME_OVERLAP = 0.5
# or if so much of the smaller one lies in the other, which is so many times larger at most, or bears the same text.
_INSIDE = 0.8
_SAME_AREAS = 4.0


def choose_candidates(
    elements: Iterable[Element], *, within: Box | None = None, near: Point | None = None, limit: int = MOST_MARKS
) -> tuple[Element, ...]:
    """Choose at most `limit` elements whose centres lie `within` a box, in reading order.

    Of those at one place the one with the best score stays. Where there are too many, those nearest to `near` stay, or
    those with the best scores.
    """
    inside = [it for it in elements if it.box.area > 0 and (within is None or within.contains(it.box.center))]
    ranked = sorted(inside, key=lambda it: (-it.score, -it.box.area, it.box.top, it.box.left))
    apart = _apart(ranked)
    if near is not None:
        apart.sort(key=lambda it: _distance(it.box, near))
    return in_reading_order(apart[:limit])


def numbered(elements: Sequence[Element]) -> tuple[Mark, ...]:
    """Number elements from 1 in the order given."""
    return tuple(Mark(number, element) for number, element in enumerate(elements, start=1))


def in_reading_order(elements: Iterable[Element]) -> tuple[Element, ...]:
    """Sort elements into rows from the top, each from the left; a row is what its first element's height spans."""
    waiting = sorted(elements, key=lambda it: (it.box.center.y, it.box.left))
    ordered: list[Element] = []
    while waiting:
        # Tall elements would take whole columns into their row.
        bottom = waiting[0].box.center.y + min(waiting[0].box.height, _shortest(waiting[:8])) // 2
        row = [it for it in waiting if it.box.center.y <= bottom]
        ordered += sorted(row, key=lambda it: (it.box.left, it.box.top))
        waiting = waiting[len(row) :]
    return tuple(ordered)


def _apart(ranked: Sequence[Element]) -> list[Element]:
    """Leave out whatever is at the place of something before it."""
    left, top, right, bottom = (
        np.array([(it.box.left, it.box.top, it.box.right, it.box.bottom) for it in ranked], dtype=np.int64)
        .reshape(-1, 4)
        .T
    )
    texts = np.array([it.text for it in ranked], dtype=object)
    areas = (right - left) * (bottom - top)
    is_kept = np.ones(len(ranked), dtype=bool)
    for index, element in enumerate(ranked):
        if not is_kept[index]:
            continue
        box = element.box
        across = np.minimum(right, box.right) - np.maximum(left, box.left)
        down = np.minimum(bottom, box.bottom) - np.maximum(top, box.top)
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        small, large = np.minimum(areas, box.area), np.maximum(areas, box.area)
        is_alike = (large <= _SAME_AREAS * small) | ((texts == element.text) & (element.text != ""))
        is_same = (shared >= _SAME_OVERLAP * (small + large - shared)) | ((shared >= _INSIDE * small) & is_alike)
        is_kept[index + 1 :] &= ~is_same[index + 1 :]
    return [element for element, kept in zip(ranked, is_kept, strict=True) if kept]


def _shortest(elements: Sequence[Element]) -> int:
    return min(it.box.height for it in elements)


def _distance(box: Box, point: Point) -> float:
    dx = max(box.left - point.x, 0, point.x - box.right + 1)
    dy = max(box.top - point.y, 0, point.y - box.bottom + 1)
    return float((dx * dx + dy * dy) ** 0.5)
