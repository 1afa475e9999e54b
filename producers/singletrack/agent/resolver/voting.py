"""Where the texts around it say that something is."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Edges = NDArray[np.float64]
# How far a vote may be wrong: some pixels, a tenth of the gap along the axis, a little of the gap across it.
_SURE_PX: Final = 1.5
_OF_GAP: Final = 0.1
_OF_GAP_ACROSS: Final = 0.012
# Wider gaps are columns, which begin where they begin; narrower ones are spaces between neighbours.
_NEIGHBOURS_PX: Final = 60.0


@dataclass(frozen=True, eq=False)
class Votes:
    """A place (middle) by each of n pairs, and how far each may be wrong, in pixels."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    error_x: NDArray[np.float64]
    error_y: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Expected:
    """The place that votes agree on; `spread` is how far they are apart, `error` what the best of them may be wrong."""

    x: float
    y: float
    spread_x: float
    spread_y: float
    error_x: float
    error_y: float
    votes: int


def cast(then: Edges, now: Edges, target: Edges, scale: float) -> Votes:
    """Let pairs (n x 4 edges, then and now) say where a target (4 edges, then) is now."""
    gap_x = np.maximum(np.maximum(then[:, 0] - target[2], target[0] - then[:, 2]), 0)
    gap_y = np.maximum(np.maximum(then[:, 1] - target[3], target[1] - then[:, 3]), 0)
    half_width = (target[2] - target[0]) / 2 * scale
    y = (now[:, 1] + now[:, 3]) / 2 + scale * ((target[1] + target[3]) / 2 - (then[:, 1] + then[:, 3]) / 2)
    lefts = now[:, 0] + scale * (target[0] - then[:, 0]) + half_width
    rights = now[:, 2] + scale * (target[2] - then[:, 2]) - half_width
    middles = (now[:, 0] + now[:, 2]) / 2 + scale * ((target[0] + target[2]) / 2 - (then[:, 0] + then[:, 2]) / 2)
    after = now[:, 2] + scale * (target[0] - then[:, 2]) + half_width
    before = now[:, 0] + scale * (target[2] - then[:, 0]) - half_width
    x = _by_alignment(then, target, lefts, middles, rights)
    x = np.where((gap_x > 0) & (gap_x < _NEIGHBOURS_PX) & (then[:, 2] <= target[0]), after, x)
    x = np.where((gap_x > 0) & (gap_x < _NEIGHBOURS_PX) & (then[:, 0] >= target[2]), before, x)
    return Votes(x, y, _errors(gap_x, gap_y), _errors(gap_y, gap_x))


def settled(votes: Votes, most: int) -> Expected:
    """Return what the most exact votes agree on, each axis by itself."""
    x, spread_x, error_x = _agreed(votes.x, votes.error_x, most)
    y, spread_y, error_y = _agreed(votes.y, votes.error_y, most)
    return Expected(x, y, spread_x, spread_y, error_x, error_y, min(len(votes.x), most))


def _errors(along: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(_SURE_PX**2 + (_OF_GAP * along) ** 2 + (_OF_GAP_ACROSS * across) ** 2)


def _by_alignment(
    then: Edges, target: Edges, lefts: NDArray[np.float64], middles: NDArray[np.float64], rights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Take the edge that lies most in line with the target's; left edges where they are no worse."""
    off_left = np.abs(then[:, 0] - target[0])
    off_right = np.abs(then[:, 2] - target[2]) + 1
    off_middle = np.abs((then[:, 0] + then[:, 2]) - (target[0] + target[2])) / 2 + 1
    chosen = np.argmin(np.stack([off_left, off_middle, off_right]), axis=0)
    aside = (then[:, 2] <= target[0]) | (then[:, 0] >= target[2])
    return np.where(aside, lefts, np.choose(chosen, [lefts, middles, rights]))


def _agreed(values: NDArray[np.float64], errors: NDArray[np.float64], most: int) -> tuple[float, float, float]:
    order = np.argsort(errors, kind="stable")[:most]
    picked, weights = values[order], 1 / errors[order] ** 2
    middle = _weighted_median(picked, weights)
    spread = _weighted_median(np.abs(picked - middle), weights)
    return middle, spread, float(errors[order[0]])


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, summed[-1] / 2)])
