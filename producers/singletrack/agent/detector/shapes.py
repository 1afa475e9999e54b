"""Frames and glyphs: outlines of fields, buttons and boxes, and whatever small is drawn and is no text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from singletrack.agent.detector.boxes import Boxes
from singletrack.agent.detector.edges import Bits, lines_of, without
from singletrack.agent.targets.geometry import Box

_FRAME_FULLNESS: Final = 0.85
_SMALLEST_PX: Final = 6
_MOST: Final = 3000
# A frame has an outer and an inner edge.
_STROKE_PX: Final = 5
# In units, which are usual heights of a text.
_LARGEST_GLYPH: Final = 7.0
_GLYPH_GAP: Final = 0.3
_LINE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A box that was found.

    `fullness` is the share of it inside its outline, `roundness` is 1 for a circle, `inner` the share of edges in its
    middle: 0 for an empty frame.
    """

    box: Box
    fullness: float
    roundness: float = 0.0
    inner: float = 0.0

    @property
    def is_squarish(self) -> bool:
        """Whether its sides are about equal."""
        return 0.75 <= self.box.width / self.box.height <= 1.34


@dataclass(frozen=True, eq=False)
class Shapes:
    """What was found on a screen; `lines` are the pixels of long lines, 0 or 1."""

    frames: tuple[Shape, ...]
    glyphs: tuple[Shape, ...]
    lines: Bits


def shapes_on(edges: Bits, texts: Sequence[Box], unit: float) -> Shapes:
    """Find frames and glyphs among edges; `texts` are the boxes of texts, `unit` the usual height of one (pixels)."""
    lines = lines_of(edges, max(int(_LINE * unit), 16))
    # In tight cells a text's box reaches the lines around it.
    drawn = cv2.bitwise_or(without(edges, texts, 1), lines)
    frames = _frames(np.asarray(drawn, dtype=np.uint8))
    glyphs = _glyphs(_without_outlines(without(edges, texts, 1), lines, frames), unit)
    summed = cv2.integral(edges)
    return Shapes(
        tuple(_with_inner(it, summed) for it in frames),
        tuple(_with_inner(it, summed) for it in _without_corners(glyphs, frames)),
        lines,
    )


def _frames(edges: Bits) -> list[Shape]:
    contours, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        left, top, across, down = cv2.boundingRect(contour)
        if min(across, down) < _SMALLEST_PX:
            continue
        fullness = cv2.contourArea(contour) / ((across - 1) * (down - 1))
        if fullness >= _FRAME_FULLNESS:
            found.append(Shape(Box(left, top, across, down), fullness))
    return _outermost(_largest(found))


def _largest(found: Sequence[Shape]) -> list[Shape]:
    """A picture may have as many shapes as pixels, and no user interface has."""
    return sorted(found, key=lambda it: (-it.box.area, it.box.top, it.box.left))[:_MOST]


def _outermost(found: Iterable[Shape]) -> list[Shape]:
    """Leave out the inner edges of frames; the largest come first."""
    kept: list[Shape] = []
    grid: dict[tuple[int, int], list[Box]] = {}
    for shape in found:
        places = [(shape.box.left // 16 + dx, shape.box.top // 16 + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        if any(_is_the_same(other, shape.box) for place in places for other in grid.get(place, ())):
            continue
        kept.append(shape)
        grid.setdefault((shape.box.left // 16, shape.box.top // 16), []).append(shape.box)
    return kept


def _is_the_same(outer: Box, inner: Box) -> bool:
    return (
        abs(inner.left - outer.left) <= _STROKE_PX
        and abs(inner.top - outer.top) <= _STROKE_PX
        and abs(outer.right - inner.right) <= _STROKE_PX
        and abs(outer.bottom - inner.bottom) <= _STROKE_PX
    )


def _with_inner(shape: Shape, summed: cv2.typing.MatLike) -> Shape:
    box = shape.box
    across, down = max(box.width // 4, 3), max(box.height // 4, 3)
    left, top, right, bottom = box.left + across, box.top + down, box.right - across, box.bottom - down
    if right <= left or bottom <= top:
        return shape
    inside = int(summed[bottom, right] - summed[top, right] - summed[bottom, left] + summed[top, left])
    return replace(shape, inner=inside / ((right - left) * (bottom - top)))


def _without_outlines(edges: Bits, lines: Bits, frames: Iterable[Shape]) -> Bits:
    """Return the edges that belong to no line and to no frame's outline."""
    left_over: Bits = edges & (1 - lines)
    for shape in frames:
        box = shape.box
        if min(box.width, box.height) > 3 * _STROKE_PX:
            cv2.rectangle(left_over, (box.left, box.top), (box.right - 1, box.bottom - 1), 0, 3)
    return left_over


def _glyphs(edges: Bits, unit: float) -> list[Shape]:
    gap = max(int(_GLYPH_GAP * unit), 3)
    closed = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    glyphs = []
    for contour in contours:
        left, top, across, down = cv2.boundingRect(contour)
        small, large = sorted((across, down))
        if large < _SMALLEST_PX or small < 3 or large > _LARGEST_GLYPH * unit:
            continue
        area, around = cv2.contourArea(contour), cv2.arcLength(contour, closed=True)
        fullness = area / max((across - 1) * (down - 1), 1)
        glyphs.append(Shape(Box(left, top, across, down), fullness, 4 * np.pi * area / max(around, 1) ** 2))
    return _largest(glyphs)


def _without_corners(glyphs: Sequence[Shape], frames: Iterable[Shape]) -> list[Shape]:
    """Leave out what remains of the rounded corners of frames."""
    outlines = Boxes(shape.box for shape in frames)
    return [glyph for glyph in glyphs if not _is_a_corner(glyph.box, outlines)]


def _is_a_corner(glyph: Box, frames: Boxes) -> bool:
    reach, middle = max(glyph.width, glyph.height), glyph.center
    across = np.minimum(abs(frames.left - middle.x), abs(frames.right - middle.x))
    down = np.minimum(abs(frames.top - middle.y), abs(frames.bottom - middle.y))
    large = np.minimum(frames.width, frames.height) >= 2.5 * reach
    return bool(((across <= reach) & (down <= reach) & large).any())
