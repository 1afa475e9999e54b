"""Whether the texts of its row or column tell a thing from those that look the same."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.resolver.layout import Layout
from singletrack.agent.resolver.recorded_element import RecordedElement
from singletrack.agent.targets.geometry import Box

Flags = NDArray[np.bool_]
# Rows and columns of things that look the same are closer than this, and may have moved along by one.
_FARTHEST_ROW_PX: Final = 160.0
_LEAST_HEIGHT_PX: Final = 16.0
_OF_THE_HEIGHT: Final = 0.6
_SLACK_PX: Final = 8.0


def is_vouched(element: RecordedElement, layout: Layout, own: Flags, place: tuple[float, float]) -> bool:
    """Return whether what tells an element from its twins is in line with its place.

    That is any text of its row (or column) that the recorded screen had once; where it has none, each text of its row
    that the twin's row does not have. `own` are the element's own texts, `place` is its middle now.
    """
    rare = np.array([layout.keys.count(key) == 1 for key in layout.keys], dtype=np.bool_)
    middle = _middle(element.sought_box)
    for twin in element.anchor.twin_boxes:
        way = _middle(twin) - middle
        if np.abs(way).max() > _FARTHEST_ROW_PX:
            continue
        axis = int(abs(way[1]) >= abs(way[0]))
        mates = _mates(layout, element.sought_box, axis) & ~own
        here = _in_line(element.sought_box, layout, axis, place[axis])
        if (mates & rare).any():
            if not (mates & rare & here).any():
                return False
        elif not here[_telling(layout, mates, _mates(layout, twin, axis))].all():
            return False
    return True


def _telling(layout: Layout, mates: Flags, others: Flags) -> list[int]:
    """Return the texts of one row that another has not."""
    theirs = {layout.keys[place] for place in np.flatnonzero(others)}
    return [int(place) for place in np.flatnonzero(mates) if layout.keys[place] not in theirs]


def _mates(layout: Layout, box: Box, axis: int) -> Flags:
    middles = (layout.then[:, axis] + layout.then[:, axis + 2]) / 2
    return np.asarray(np.abs(middles - _middle(box)[axis]) <= _OF_THE_HEIGHT * _height(box, axis), dtype=np.bool_)


def _in_line(box: Box, layout: Layout, axis: int, place: float) -> Flags:
    """Return which texts were found again in line with a place."""
    middles = (layout.now[:, axis] + layout.now[:, axis + 2]) / 2
    room = _OF_THE_HEIGHT * _height(box, axis) * max(layout.scale, 1.0) + _SLACK_PX
    return np.asarray((layout.found >= 0) & (np.abs(middles - place) <= room), dtype=np.bool_)


def _height(box: Box, axis: int) -> float:
    return max(float((box.width, box.height)[axis]), _LEAST_HEIGHT_PX)


def _middle(box: Box) -> NDArray[np.float64]:
    return np.array([box.left + box.width / 2, box.top + box.height / 2])
