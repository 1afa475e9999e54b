"""Where neighbouring pixels differ on a screen, and the long lines among that."""

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box

Bits = NDArray[np.uint8]

# Of 255, in any channel: what a frame or a glyph differs from its ground by.
_EDGE: Final = 14
_PIXEL: Final = np.ones((2, 2), np.uint8)


def edges_of(pixels: Pixels) -> Bits:
    """Return where a pixel differs from its right or lower neighbour, 0 or 1."""
    gradient = cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, _PIXEL)
    red, green, blue = cv2.split(gradient)
    _, strong = cv2.threshold(cv2.max(cv2.max(red, green), blue), _EDGE, 1, cv2.THRESH_BINARY)
    return np.asarray(strong, dtype=np.uint8)


def without(bits: Bits, boxes: Iterable[Box], rim: int = 0) -> Bits:
    """Return a copy in which boxes, with a rim of so many pixels, are empty."""
    left_over = bits.copy()
    for box in boxes:
        left_over[max(box.top - rim, 0) : box.bottom + rim, max(box.left - rim, 0) : box.right + rim] = 0
    return left_over


def lines_of(bits: Bits, least_px: int) -> Bits:
    """Return the horizontal and vertical lines that are at least so long."""
    across = cv2.morphologyEx(bits, cv2.MORPH_OPEN, np.ones((1, least_px), np.uint8))
    down = cv2.morphologyEx(bits, cv2.MORPH_OPEN, np.ones((least_px, 1), np.uint8))
    return np.asarray(cv2.bitwise_or(across, down), dtype=np.uint8)
