"""A small grey picture looked for in a window, by its lightness and by its edges."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Map = NDArray[np.float32]
# Weaker than this, of 255, is noise; stronger than this does not count for more.
_FLAT_DEVIATION: Final = 3.0
_STRONGEST_EDGE: Final = 160.0
# A window with less contrast than this share of the template's is flat: correlation says 1.0 there to anything.
_LEAST_CONTRAST: Final = 0.4
_SMALLEST_SIDE: Final = 4
_BLUR: Final = 0.8
_LEAST_FOR_A_RIM: Final = 12


@dataclass(frozen=True, slots=True)
class Match:
    """The best place: its left upper corner in the window, the template's size there, correlation (0 to 1), scale."""

    left: int
    top: int
    width: int
    height: int
    score: float
    scale: float


def edges_of(grey: Grey) -> Map:
    """Return how strong edges are, 0 to 1, whatever is light and what is dark."""
    smooth = softened(grey)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    strength = np.minimum(np.asarray(cv2.magnitude(across, down), dtype=np.float32) / _STRONGEST_EDGE, np.float32(1))
    return np.asarray(cv2.GaussianBlur(strength, (3, 3), _BLUR), dtype=np.float32)


def softened(grey: Grey) -> Grey:
    """Return a picture a little out of focus: half a pixel more or less does not matter then."""
    return np.asarray(cv2.GaussianBlur(grey, (3, 3), _BLUR), dtype=np.uint8)


def is_flat(grey: Grey) -> bool:
    """Return whether a picture has nothing on it that could be recognised."""
    return float(grey.std()) < _FLAT_DEVIATION


def resized(grey: Grey, scale: float) -> Grey:
    """Return a picture at another scale."""
    if abs(scale - 1) < 0.01:
        return grey
    height, width = max(round(grey.shape[0] * scale), 1), max(round(grey.shape[1] * scale), 1)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, (width, height), interpolation=method), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Matches:
    """The best match with its middle inside of some room, and the best score outside of it."""

    inside: Match
    outside: float


def best_by_lightness(template: Grey, window: Grey, scale: float) -> Match | None:
    """Return the best place by correlation of lightness; None where nothing can be compared."""
    everywhere = (0.0, 0.0, float(window.shape[1]), float(window.shape[0]))
    matches = best_matches(template, window, (scale,), everywhere, by_edges=False)
    return matches.inside if matches is not None else None


def best_matches(
    template: Grey, window: Grey, scales: tuple[float, ...], room: tuple[float, float, float, float], *, by_edges: bool
) -> Matches | None:
    """Return the best places inside and outside of a room (left, top, right, bottom, in the window's pixels).

    By edges other colours do not matter. None where nothing can be compared.
    """
    seen = edges_of(window) if by_edges else softened(window)
    best, outside = None, 0.0
    for scale in scales:
        looked_for = resized(template, scale)
        if is_flat(looked_for) or not _fits(looked_for, window):
            continue
        rim = _rim_of(looked_for) if by_edges else 0
        scores = _correlation(_without_rim(edges_of(looked_for), rim) if by_edges else softened(looked_for), seen)
        match, beside = _split(scores, looked_for, rim, room, scale)
        outside = max(outside, beside)
        if match is not None and (best is None or match.score > best.score):
            best = match
    return Matches(best, outside) if best is not None else None


def _split(
    scores: Map, looked_for: Grey, rim: int, room: tuple[float, float, float, float], scale: float
) -> tuple[Match | None, float]:
    """Return the best match inside of the room, and the best score outside."""
    height, width = looked_for.shape
    left = max(math.ceil(room[0] - width / 2) + rim, 0)
    top = max(math.ceil(room[1] - height / 2) + rim, 0)
    right = min(math.floor(room[2] - width / 2) + rim + 1, scores.shape[1])
    bottom = min(math.floor(room[3] - height / 2) + rim + 1, scores.shape[0])
    if left >= right or top >= bottom:
        return None, 0.0
    inside = scores[top:bottom, left:right]
    down, across = (int(one) for one in np.unravel_index(int(np.argmax(inside)), inside.shape))
    score = float(np.clip(inside[down, across], 0, 1))
    rest = scores.copy()
    rest[top:bottom, left:right] = 0
    # The slopes of the peak inside are no peaks outside.
    rest[
        max(top + down - height // 2, 0) : top + down + height // 2 + 1,
        max(left + across - width // 2, 0) : left + across + width // 2 + 1,
    ] = 0
    match = Match(left + across - rim, top + down - rim, width, height, score, scale)
    return match, float(np.clip(rest.max(), 0, 1))


def _rim_of(grey: Grey) -> int:
    """Return how wide the rim is whose edges depend on what lay outside of the picture."""
    return 2 if min(grey.shape) >= _LEAST_FOR_A_RIM else 0


def _without_rim(edges: Map, rim: int) -> Map:
    return np.ascontiguousarray(edges[rim : edges.shape[0] - rim, rim : edges.shape[1] - rim])


def edge_correlation(grey: Grey, edges: Map) -> Map:
    """Return the correlation of a picture's edges with a map of edges, at each place where the picture fits."""
    rim = _rim_of(grey)
    scores = _correlation(_without_rim(edges_of(grey), rim), edges)
    return scores[rim : scores.shape[0] - rim, rim : scores.shape[1] - rim] if rim else scores


def _fits(template: Grey, window: Grey) -> bool:
    height, width = template.shape
    return bool(min(height, width) >= _SMALLEST_SIDE and height <= window.shape[0] and width <= window.shape[1])


def correlation(template: Grey, window: Grey) -> Map:
    """Return the correlation of lightness at each place where the template fits; 0 where the window is flat."""
    return _correlation(softened(template), softened(window))


def _correlation(template: NDArray[np.uint8] | Map, window: NDArray[np.uint8] | Map) -> Map:
    scores = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
    contrast = _deviations(window, template.shape[1], template.shape[0])
    # Rounding makes flat parts score anything.
    flat = contrast < _LEAST_CONTRAST * float(template.std())
    return np.where(flat | ~np.isfinite(scores), np.float32(0), scores).astype(np.float32, copy=False)


def _deviations(window: NDArray[np.uint8] | Map, width: int, height: int) -> Map:
    total, squares = cv2.integral2(window, sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
    count = float(width * height)
    mean = _sums(np.asarray(total, dtype=np.float64), width, height) / count
    square = _sums(np.asarray(squares, dtype=np.float64), width, height) / count
    return np.sqrt(np.maximum(square - mean**2, 0)).astype(np.float32)


def _sums(table: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    return np.asarray(
        table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    )
