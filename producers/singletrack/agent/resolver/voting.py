"""Where the texts around things say that they are."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Edges = NDArray[np.float64]
Values = NDArray[np.float64]
# How far a vote may be wrong: some pixels, a tenth of the gap along the axis, a little of the gap across it.
_SURE_PX: Final = 1.5
_OF_GAP: Final = 0.1
_OF_GAP_ACROSS: Final = 0.012
# Wider gaps are columns, which begin where they begin; narrower ones are spaces between neighbours.
_NEIGHBOURS_PX: Final = 60.0
_NO_VOTE: Final = 1e9


@dataclass(frozen=True, eq=False)
class Votes:
    """Places (middles) of m things by each of n pairs, m x n, and how far each may be wrong, in pixels."""

    x: Values
    y: Values
    error_x: Values
    error_y: Values


@dataclass(frozen=True, eq=False)
class Expected:
    """The places (m) that votes agree on.

    `spread` is how far the votes are apart, `error` what the best of them may be wrong, in pixels.
    """

    x: Values
    y: Values
    spread_x: Values
    spread_y: Values
    error_x: Values
    error_y: Values


def cast(then: Edges, now: Edges, things: Edges, scale: float, scale_y: float | None = None) -> Votes:
    """Let pairs (n x 4 edges, then and now) say where things (m x 4 edges, then) are now.

    `scale` is how distances have grown, downwards `scale_y` if that is given.
    """
    down = scale if scale_y is None else scale_y
    before, after, thing = then[None, :, :], now[None, :, :], things[:, None, :]
    gap_x = _gaps(before, thing, 0)
    gap_y = _gaps(before, thing, 1)
    half_width = (thing[..., 2] - thing[..., 0]) / 2 * scale
    offset = np.array([scale, down, scale, down]) * (thing - before)
    y = (after[..., 1] + after[..., 3] + offset[..., 1] + offset[..., 3]) / 2
    x = _by_alignment(before, thing, after + offset, half_width)
    is_near = (gap_x > 0) & (gap_x < _NEIGHBOURS_PX)
    right_of = after[..., 2] + scale * (thing[..., 0] - before[..., 2]) + half_width
    left_of = after[..., 0] + scale * (thing[..., 2] - before[..., 0]) - half_width
    x = np.where(is_near & (before[..., 2] <= thing[..., 0]), right_of, x)
    x = np.where(is_near & (before[..., 0] >= thing[..., 2]), left_of, x)
    return Votes(x, y, _errors(gap_x, gap_y), _errors(gap_y, gap_x))


def without_own(votes: Votes) -> Votes:
    """Return the votes of n pairs about themselves, none about itself."""
    own = np.eye(votes.x.shape[0], dtype=np.bool_)
    return Votes(votes.x, votes.y, np.where(own, _NO_VOTE, votes.error_x), np.where(own, _NO_VOTE, votes.error_y))


def settled(votes: Votes, most: int) -> Expected:
    """Return what the `most` most exact votes agree on, each axis by itself."""
    x, spread_x, error_x = _agreed(votes.x, votes.error_x, most)
    y, spread_y, error_y = _agreed(votes.y, votes.error_y, most)
    return Expected(x, y, spread_x, spread_y, error_x, error_y)


def _gaps(before: Edges, thing: Edges, axis: int) -> Values:
    gaps = np.maximum(before[..., axis] - thing[..., axis + 2], thing[..., axis] - before[..., axis + 2])
    return np.asarray(np.maximum(gaps, 0), dtype=np.float64)


def _errors(along: Values, across: Values) -> Values:
    return np.sqrt(_SURE_PX**2 + (_OF_GAP * along) ** 2 + (_OF_GAP_ACROSS * across) ** 2)


def _by_alignment(before: Edges, thing: Edges, there: Edges, half_width: Values) -> Values:
    """Take the edge that lies most in line with the thing's; the left one for what lies in another column."""
    off_left = np.abs(before[..., 0] - thing[..., 0])
    off_right = np.abs(before[..., 2] - thing[..., 2]) + 1
    off_middle = np.abs((before[..., 0] + before[..., 2]) - (thing[..., 0] + thing[..., 2])) / 2 + 1
    aside = (before[..., 2] <= thing[..., 0]) | (before[..., 0] >= thing[..., 2])
    is_left = aside | ((off_left <= off_middle) & (off_left <= off_right))
    middles = (there[..., 0] + there[..., 2]) / 2
    by_other = np.where(off_middle <= off_right, middles, there[..., 2] - half_width)
    return np.where(is_left, there[..., 0] + half_width, by_other)


def _agreed(values: Values, errors: Values, most: int) -> tuple[Values, Values, Values]:
    order = np.argsort(errors, axis=1, kind="stable")[:, :most]
    picked, exact = np.take_along_axis(values, order, axis=1), np.take_along_axis(errors, order, axis=1)
    weights = 1 / exact**2
    middle = _weighted_medians(picked, weights)
    spread = _weighted_medians(np.abs(picked - middle[:, None]), weights)
    return middle, spread, exact[:, 0]


def _weighted_medians(values: Values, weights: Values) -> Values:
    order = np.argsort(values, axis=1, kind="stable")
    summed = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    place = (summed < summed[:, -1:] / 2).sum(axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    return np.asarray(np.take_along_axis(ordered, place[:, None], axis=1)[:, 0], dtype=np.float64)
