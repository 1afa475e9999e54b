"""A picture of a screen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from singletrack.agent.errors import InvalidScreenshot
from singletrack.agent.targets.geometry import ORIGIN, Box, Point

Pixels = NDArray[np.uint8]
_SMALLEST_SIDE = 32
# What no content is as even as: the screen is off, locked, or cannot be grabbed.
_BLANK_DEVIATION = 1.0


@dataclass(frozen=True, eq=False)
class Screenshot:
    """A screen's pixels (height x width x 3, RGB, uint8, physical pixels).

    `origin` is where its left upper pixel lies on the desktop: negative on a monitor to the left of the first one.
    `scale` is the monitor's scaling (1.0 is 100 %), `title` that of the active window where it is known.
    """

    pixels: Pixels
    origin: Point = ORIGIN
    scale: float = 1.0
    title: str = ""

    @classmethod
    def of(cls, picture: Image.Image | Pixels | str | Path, *, origin: Point = ORIGIN, title: str = "") -> Self:
        """Take a picture, RGB pixels, or a file.

        Raises `InvalidScreenshot` if it is no picture, too small, or as even as a screen that is off.
        """
        pixels = _pixels(picture)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise InvalidScreenshot(
                f"A screenshot is height x width x 3 bytes of RGB, this is {pixels.dtype} {pixels.shape}: convert it."
            )
        if min(pixels.shape[:2]) < _SMALLEST_SIDE:
            raise InvalidScreenshot(
                f"The screenshot has {pixels.shape[1]} x {pixels.shape[0]} pixels. Grab a whole screen."
            )
        if float(pixels[::4, ::4].std()) < _BLANK_DEVIATION:
            raise InvalidScreenshot(
                "The screenshot is blank: the screen may be off or locked. Unlock it, and try again."
            )
        return cls(pixels, origin, title=title)

    @property
    def width(self) -> int:
        """In physical pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In physical pixels."""
        return int(self.pixels.shape[0])

    @property
    def box(self) -> Box:
        """All of it."""
        return Box(0, 0, self.width, self.height)

    def crop(self, box: Box) -> Pixels:
        """Return the pixels of a box; what lies outside is left out."""
        return self.pixels[max(box.top, 0) : max(box.bottom, 0), max(box.left, 0) : max(box.right, 0)]

    def on_desktop(self, point: Point) -> Point:
        """Return where a pixel lies on the desktop."""
        return point.moved(self.origin.x, self.origin.y)


def _pixels(picture: Image.Image | Pixels | str | Path) -> Pixels:
    if isinstance(picture, np.ndarray):
        return np.ascontiguousarray(picture)
    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB"))
    try:
        with Image.open(picture) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise InvalidScreenshot(f"{picture} cannot be read as a picture: {error}. Name a PNG file.") from error
