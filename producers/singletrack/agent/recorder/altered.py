"""Copies of a screenshot as it may look another day."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box, Point

_JPEG_QUALITY: Final = 70
_GAMMA: Final = 1.5


def jpeg(pixels: Pixels) -> Pixels:
    """Return the picture as it comes out of a JPEG."""
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)


def shifted(pixels: Pixels) -> Pixels:
    """Return the picture moved by half a pixel."""
    height, width = pixels.shape[:2]
    matrix = np.array([[1, 0, 0.5], [0, 1, 0.5]], dtype=np.float32)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def scaled(pixels: Pixels, scale: float) -> Pixels:
    """Return the picture at another size."""
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=method), dtype=np.uint8)


def darker(pixels: Pixels) -> Pixels:
    """Return the picture with a darker middle."""
    table = (255 * (np.arange(256) / 255) ** _GAMMA).astype(np.uint8)
    return np.asarray(table[pixels], dtype=np.uint8)


def inverted(pixels: Pixels) -> Pixels:
    """Return the picture with light and dark exchanged."""
    return 255 - pixels


# Each with the scale that it brings.
ALTERATIONS: Final[dict[str, tuple[Callable[[Pixels], Pixels], float]]] = {
    "as a JPEG": (jpeg, 1.0),
    "half a pixel away": (shifted, 1.0),
    "at 90 %": (lambda pixels: scaled(pixels, 0.9), 0.9),
    "at 110 %": (lambda pixels: scaled(pixels, 1.1), 1.1),
    "in other light": (darker, 1.0),
    "with light and dark exchanged": (inverted, 1.0),
}


def painted_over(pixels: Pixels, box: Box) -> Pixels:
    """Return the picture with a box in the colour of what is around it."""
    ring = 3
    around = pixels[max(box.top - ring, 0) : box.bottom + ring, max(box.left - ring, 0) : box.right + ring]
    rim = np.concatenate([around[:ring].reshape(-1, 3), around[-ring:].reshape(-1, 3)])
    painted = pixels.copy()
    painted[box.top : box.bottom, box.left : box.right] = np.median(rim, axis=0).astype(np.uint8)
    return painted


def at_scale(point: Point, scale: float) -> Point:
    """Return where a point lies on a copy at another size."""
    return Point(round(point.x * scale), round(point.y * scale))
