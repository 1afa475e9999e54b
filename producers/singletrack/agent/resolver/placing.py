"""Where the recorded surroundings say that an element is now, and how far it may be from there."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.resolver.layout import Layout
from singletrack.agent.resolver.recorded_element import RecordedElement
from singletrack.agent.resolver.voting import cast, settled
from singletrack.agent.resolver.vouching import is_vouched
from singletrack.agent.targets.geometry import Box

Edges = NDArray[np.float64]
_VOTES: Final = 9
_LEAST_VOTES: Final = 2
# For the scale around an element: the nearest pairs, and distances that are neither noise nor across the screen.
_PAIRS_NEAR: Final = 10
_LEAST_DISTANCE_PX: Final = 25
_MOST_DISTANCE_PX: Final = 500
_LEAST_DISTANCES: Final = 6
_LEAST_ROOM_PX: Final = 7.0
_MOST_ROOM_PX: Final = 90.0
_OF_ITS_SIZE: Final = 0.8
# Of the way to the nearest twin; half of it is where the twin is as near.
_OF_THE_WAY_TO_A_TWIN: Final = 0.42
# Votes this exact, and this much of one mind, mean that the surroundings have not moved.
_TIGHT_PX: Final = 6.0


@dataclass(frozen=True, eq=False)
class Place:
    """The middle where something is expected, how far off it may be (pixels, each way), and how things have grown.

    `spread` is how far its surroundings' votes are apart, `error` what the best of them may be wrong; `is_vouched` says
    whether what tells it from its twins is there.
    """

    x: float
    y: float
    spread: float
    error: float
    room_x: float
    room_y: float
    scale: float
    is_vouched: bool

    @property
    def is_tight(self) -> bool:
        """Whether near surroundings agree to a few pixels."""
        return self.spread <= _TIGHT_PX and self.error <= 2 * _TIGHT_PX

    def offset_of(self, x: float, y: float) -> tuple[float, float]:
        """Return how far a middle is from the expected one."""
        return x - self.x, y - self.y

    def has_room_for(self, x: float, y: float, slack: float = 1.0) -> bool:
        """Return whether a middle is near enough."""
        dx, dy = self.offset_of(x, y)
        return abs(dx) <= self.room_x * slack and abs(dy) <= self.room_y * slack


def place_of(element: RecordedElement, layout: Layout) -> Place | None:
    """Return where an element is expected; None where too little of its surroundings is there."""
    sought = edges_of(element.sought_box)
    own = _inside(layout.then, edges_of(element.box)) | _inside(layout.then, sought)
    pairs = np.flatnonzero((layout.found >= 0) & ~own)
    if len(pairs) < _LEAST_VOTES:
        return None
    then, now = layout.then[pairs], layout.now[pairs]
    scale_x, scale_y = (_scale_near(then, now, sought, axis, layout.scale) for axis in (0, 1))
    place = settled(cast(then, now, sought[None, :], scale_x, scale_y), _VOTES)
    spread_x, spread_y, error_x, error_y = (
        float(one[0]) for one in (place.spread_x, place.spread_y, place.error_x, place.error_y)
    )
    most = _MOST_ROOM_PX if element.key else _most_room_of_looks(element.box, layout.scale)
    return Place(
        x=float(place.x[0]),
        y=float(place.y[0]),
        spread=max(spread_x, spread_y),
        error=max(error_x, error_y),
        room_x=min(_room(spread_x, error_x, element.sought_box.width * layout.scale), most),
        room_y=min(_room(spread_y, error_y, element.sought_box.height * layout.scale), most),
        scale=layout.scale,
        is_vouched=is_vouched(element, layout, own, (float(place.x[0]), float(place.y[0]))),
    )


def is_nearer_than_twins(element: RecordedElement, place: Place, x: float, y: float) -> bool:
    """Return whether a middle is well on the element's side of the way to each of its twins."""
    off = np.array(place.offset_of(x, y))
    middle = np.array(_middle(element.sought_box))
    for twin in element.anchor.twin_boxes:
        way = (np.array(_middle(twin)) - middle) * place.scale
        length = float(way @ way)
        if length > 0 and float(off @ way) / length > _OF_THE_WAY_TO_A_TWIN:
            return False
    return True


def edges_of(box: Box) -> Edges:
    """Return a box as left, top, right, bottom."""
    return np.array([box.left, box.top, box.right, box.bottom], dtype=np.float64)


def _most_room_of_looks(box: Box, scale: float) -> float:
    """Return how far off something may be that has no text: farther off it may be the same thing beside it."""
    return max(_OF_ITS_SIZE * min(box.width, box.height) * max(scale, 1.0), _LEAST_ROOM_PX)


def _scale_near(then: Edges, now: Edges, box: Edges, axis: int, scale: float) -> float:
    """Return how distances around a box have grown along an axis: paddings grow less than type does."""
    gaps = np.maximum(np.maximum(then[:, :2] - box[2:], box[:2] - then[:, 2:]), 0).max(axis=1)
    near = np.argsort(gaps, kind="stable")[:_PAIRS_NEAR]
    before = then[near, axis][:, None] - then[near, axis]
    after = now[near, axis][:, None] - now[near, axis]
    usable = (before > _LEAST_DISTANCE_PX) & (before < _MOST_DISTANCE_PX)
    if usable.sum() < _LEAST_DISTANCES:
        return scale
    return float(np.clip(np.median(after[usable] / before[usable]), 0.7 * scale, 1.4 * scale))


def _room(spread: float, error: float, size: float) -> float:
    return float(np.clip(2.5 * spread + 2.5 * error + 0.1 * min(size, 100), _LEAST_ROOM_PX, _MOST_ROOM_PX))


def _middle(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def _inside(edges: Edges, box: Edges) -> NDArray[np.bool_]:
    x, y = (edges[:, 0] + edges[:, 2]) / 2, (edges[:, 1] + edges[:, 3]) / 2
    return np.asarray((box[0] <= x) & (x < box[2]) & (box[1] <= y) & (y < box[3]), dtype=np.bool_)
