"""Where the numbers of marks go: beside their boxes, not over a text, and apart from each other."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box

_GAP = 2
# Hiding another plate is worse than hiding what is drawn, and that is worse than lying on somebody's ground.
_PLATE_COST: Final = 8.0
_DRAWN_COST: Final = 6.0
_ELEMENT_COST: Final = 2.0
_OWN_COST: Final = 1.5
_RANK_COST: Final = 0.02
# Neighbouring pixels that differ so much in green are something drawn, and not ground.
_DRAWN_STEP = 24


def place_plates(pixels: Pixels, boxes: Sequence[Box], sizes: Sequence[tuple[int, int]]) -> list[Box]:
    """Place a plate of each size (width, height) at each box: on the picture, and the least in the way."""
    bounds, drawn = Box(0, 0, pixels.shape[1], pixels.shape[0]), _summed(pixels)
    plates: list[Box] = []
    for index, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        others = [*boxes[:index], *boxes[index + 1 :]]
        costs: dict[Box, float] = {}
        for rank, spot in enumerate(_moved_inside(spot, bounds) for spot in _spots(box, *size)):
            cost = _cost(spot, box, others, plates) + _DRAWN_COST * _share(drawn, spot) + _RANK_COST * rank
            costs.setdefault(spot, cost)
        plates.append(min(costs, key=costs.__getitem__))
    return plates


def _summed(pixels: Pixels) -> NDArray[np.int32]:
    """How much is drawn above and to the left of each pixel, itself left out."""
    green = pixels[:, :, 1].astype(np.int16)
    steps = np.abs(np.diff(green, axis=1)) > _DRAWN_STEP
    summed = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), np.int32)
    summed[1:, 1:-1] = steps.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    summed[:, -1] = summed[:, -2]
    return summed


def _share(drawn: NDArray[np.int32], spot: Box) -> float:
    """The share of a spot that is drawn; figures and letters have about a quarter."""
    top, bottom = drawn[spot.top], drawn[spot.bottom]
    inside = bottom[spot.right] - bottom[spot.left] - top[spot.right] + top[spot.left]
    return float(inside) / spot.area


def _spots(box: Box, width: int, height: int) -> Iterator[Box]:
    """Places for a plate, the best first: outside at the sides, then at the corners, then over the box's own rim."""
    left, right = box.left - width - _GAP, box.right + _GAP
    above, below = box.top - height - _GAP, box.bottom + _GAP
    middle = box.center.y - height // 2
    for x, y in (
        (left, middle),
        (box.left, above),
        (right, middle),
        (box.left, below),
        (box.right - width, above),
        (box.right - width, below),
        (left, above),
        (right, above),
        (left, below),
        (right, below),
        (box.left - width // 2, box.top - height // 2),
        (box.right - width // 2, box.top - height // 2),
        (box.left - width // 2, box.bottom - height // 2),
        (box.right - width // 2, box.bottom - height // 2),
    ):
        yield Box(x, y, width, height)


def _moved_inside(spot: Box, bounds: Box) -> Box:
    left = max(bounds.left, min(spot.left, bounds.right - spot.width))
    top = max(bounds.top, min(spot.top, bounds.bottom - spot.height))
    return Box(left, top, spot.width, spot.height)


def _cost(spot: Box, own: Box, others: Sequence[Box], plates: Sequence[Box]) -> float:
    """How much of the spot hides something, in spots."""
    hidden = _PLATE_COST * sum(map(spot.shared_area, plates))
    hidden += _ELEMENT_COST * sum(map(spot.shared_area, others))
    hidden += _OWN_COST * spot.shared_area(own)
    return hidden / spot.area
