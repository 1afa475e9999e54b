"""Frames and glyphs on a screen, by their edges."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.seen.screen import SeenScreen
from singletrack.agent.targets.geometry import Box, Point

# Of 255: what a frame or a glyph differs from its ground by.
_EDGE: Final = 14
_SMALLEST_PX: Final = 8
_LARGEST_FRAME: Final = (2000, 600)
_LARGEST_GLYPH_PX: Final = 140
_FRAME_FULLNESS: Final = 0.86
# Parts of a glyph lie no farther apart.
_GLYPH_GAP_PX: Final = 7
# A frame and the shade of its edge.
_RIM_PX: Final = 3
_WINDOW: Final = (2200, 1240)


def frames_at(seen: SeenScreen, point: Point) -> list[Box]:
    """Return the frames around a point, the smallest first: outlines of fields, buttons and boxes, without edges."""
    window = _window(seen, point)
    strong = _edges(seen.screenshot.crop(window))
    found = {box.moved(window.left, window.top) for box in _frames(strong)}
    around = [box for box in found if box.contains(point)]
    return sorted(around, key=lambda box: (box.area, box.left, box.top))


def glyph_at(seen: SeenScreen, point: Point, reach_px: int) -> Box | None:
    """Return the box of the glyph at a point or at most `reach_px` from it; None where the ground is blank."""
    window = _window(seen, point)
    strong = _edges(seen.screenshot.crop(window))
    boxes = (box.moved(window.left, window.top) for box in _glyphs(strong))
    near = sorted((_distance(box, point), box.area, box.left, box.top, box) for box in boxes)
    return near[0][-1] if near and near[0][0] <= reach_px else None


def glyph_in(seen: SeenScreen, frame: Box) -> Box | None:
    """Return the box of what is drawn inside of a frame and apart from it; None without."""
    inside = Box(frame.left + _RIM_PX, frame.top + _RIM_PX, frame.width - 2 * _RIM_PX, frame.height - 2 * _RIM_PX)
    if min(inside.width, inside.height) < _SMALLEST_PX:
        return None
    left, top, width, height = cv2.boundingRect(_edges(seen.screenshot.crop(inside)))
    glyph = Box(left, top, width, height)
    is_apart = left > 0 and top > 0 and glyph.right < inside.width and glyph.bottom < inside.height
    if not is_apart or max(width, height) < _SMALLEST_PX:
        return None
    return glyph.moved(inside.left, inside.top)


def shapes_of(seen: SeenScreen) -> tuple[Box, ...]:
    """Return every frame and glyph of a screen."""
    if "shapes" not in seen.findings:
        strong = _edges(seen.screenshot.pixels)
        seen.findings["shapes"] = tuple(
            sorted({*_frames(strong), *_glyphs(strong)}, key=lambda box: (box.top, box.left))
        )
    shapes: tuple[Box, ...] = seen.findings["shapes"]
    return shapes


def _window(seen: SeenScreen, point: Point) -> Box:
    width, height = _WINDOW
    left, top = max(point.x - width // 2, 0), max(point.y - height // 2, 0)
    right, bottom = min(point.x + width // 2, seen.screenshot.width), min(point.y + height // 2, seen.screenshot.height)
    return Box(left, top, right - left, bottom - top)


def _edges(pixels: Pixels) -> NDArray[np.uint8]:
    """Return where neighbouring pixels differ, 0 or 1: on both sides of each edge."""
    gradient = cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    return np.asarray(gradient.max(axis=2) > _EDGE, dtype=np.uint8)


def _frames(strong: NDArray[np.uint8]) -> list[Box]:
    contours, _ = cv2.findContours(strong, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    frames = []
    for contour in contours:
        left, top, width, height = cv2.boundingRect(contour)
        if not (_SMALLEST_PX <= width <= _LARGEST_FRAME[0] and _SMALLEST_PX <= height <= _LARGEST_FRAME[1]):
            continue
        if cv2.contourArea(contour) >= _FRAME_FULLNESS * (width - 1) * (height - 1):
            frames.append(Box(left, top, width, height))
    return frames


def _glyphs(strong: NDArray[np.uint8]) -> list[Box]:
    closed = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, np.ones((_GLYPH_GAP_PX, _GLYPH_GAP_PX), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    glyphs = []
    for left, top, width, height, _ in stats[1:]:
        if max(width, height) <= _LARGEST_GLYPH_PX and max(width, height) >= _SMALLEST_PX and min(width, height) >= 3:
            glyphs.append(Box(int(left), int(top), int(width), int(height)))
    return glyphs


def _distance(box: Box, point: Point) -> int:
    across = max(box.left - point.x, point.x - box.right + 1, 0)
    down = max(box.top - point.y, point.y - box.bottom + 1, 0)
    return max(across, down)
