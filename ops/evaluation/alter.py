"""Variants that are made of pixels: a JPEG, half a pixel, another place on the desktop, another resolution."""

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np

from evaluation.stages.pixels import decoded
from evaluation.truth import TrueElement
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box, Point

Altered = tuple[Pixels, tuple[TrueElement, ...]]
_QUALITY = 70
_MOVED = Point(83, 61)
_DESKTOP_GROWS_PX = Point(160, 128)
_SMALLER = 0.75
_WALLPAPER = ((38, 62, 84), (148, 118, 96))
_ICON_PITCH_PX = 92


def jpeg_70(pixels: Pixels, elements: tuple[TrueElement, ...]) -> Altered:
    """Through a JPEG of quality 70."""
    coded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return decoded(coded), elements


def half_pixel(pixels: Pixels, elements: tuple[TrueElement, ...]) -> Altered:
    """Half a pixel to the right and down, as a remote desktop or a player may draw it."""
    shift = np.array([[1, 0, 0.5], [0, 1, 0.5]], dtype=np.float32)
    size = (pixels.shape[1], pixels.shape[0])
    moved = cv2.warpAffine(pixels, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.uint8), elements


def moved(pixels: Pixels, elements: tuple[TrueElement, ...]) -> Altered:
    """The window elsewhere on a larger desktop, with a wallpaper and icons around it."""
    height, width = pixels.shape[:2]
    desktop = _desktop(width + _DESKTOP_GROWS_PX.x, height + _DESKTOP_GROWS_PX.y)
    desktop[_MOVED.y : _MOVED.y + height, _MOVED.x : _MOVED.x + width] = pixels
    return desktop, tuple(_shifted(one) for one in elements)


def low_resolution(pixels: Pixels, elements: tuple[TrueElement, ...]) -> Altered:
    """Three quarters of the size, as a remote desktop shows a larger screen."""
    size = (round(pixels.shape[1] * _SMALLER), round(pixels.shape[0] * _SMALLER))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8), tuple(_shrunk(one) for one in elements)


ALTERATIONS: Final[Mapping[str, Callable[[Pixels, tuple[TrueElement, ...]], Altered]]] = {
    "jpeg_70": jpeg_70,
    "half_pixel": half_pixel,
    "moved": moved,
    "low_resolution": low_resolution,
}


def _desktop(width: int, height: int) -> Pixels:
    first, last = (np.array(colour, dtype=np.float32) for colour in _WALLPAPER)
    slope = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    desktop = np.ascontiguousarray(np.broadcast_to(first + (last - first) * slope, (height, width, 3)), dtype=np.uint8)
    for top in range(20, height - _ICON_PITCH_PX, _ICON_PITCH_PX):
        cv2.rectangle(desktop, (18, top), (62, top + 40), (214, 198, 120), -1)
        cv2.rectangle(desktop, (18, top), (40, top + 8), (236, 226, 170), -1)
        cv2.putText(desktop, f"Data {top // 90}", (12, top + 58), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (250, 250, 250), 1)
    cv2.rectangle(desktop, (0, height - 44), (width, height), (24, 26, 30), -1)
    cv2.putText(desktop, "14:32", (width - 90, height - 16), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (235, 235, 235), 1)
    return desktop


def _shifted(element: TrueElement) -> TrueElement:
    box, click = element.box.moved(_MOVED.x, _MOVED.y), element.click.moved(_MOVED.x, _MOVED.y)
    return element.model_copy(update={"box": box, "click": click})


def _shrunk(element: TrueElement) -> TrueElement:
    left, top, right, bottom = (
        round(edge * _SMALLER) for edge in (element.box.left, element.box.top, element.box.right, element.box.bottom)
    )
    click = Point(round(element.click.x * _SMALLER), round(element.click.y * _SMALLER))
    return element.model_copy(update={"box": Box(left, top, right - left, bottom - top), "click": click})
