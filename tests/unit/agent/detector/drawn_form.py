"""A form that is drawn by a test, and a reader that knows its texts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.element import Element
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.reader import TextLine

_FONT_PX = 20


@dataclass(frozen=True)
class Theme:
    """The colours of a form."""

    ground: tuple[int, int, int] = (245, 246, 248)
    ink: tuple[int, int, int] = (20, 24, 30)
    field: tuple[int, int, int] = (255, 255, 255)
    rim: tuple[int, int, int] = (150, 155, 165)
    accent: tuple[int, int, int] = (20, 90, 200)


LIGHT = Theme()
DARK = Theme((28, 30, 36), (230, 232, 236), (18, 19, 23), (95, 100, 110), (80, 150, 255))


class DrawnForm:
    """Elements drawn one by one; a `TextReader` of what was written on it."""

    name = "what was drawn"

    def __init__(self, theme: Theme = LIGHT) -> None:
        self._theme = theme
        self._picture = Image.new("RGB", (1000, 700), theme.ground)
        self._draw = ImageDraw.Draw(self._picture)
        self._font = ImageFont.load_default(_FONT_PX)
        self._lines: list[TextLine] = []

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Tell what was written."""
        return list(self._lines)

    @property
    def screenshot(self) -> Screenshot:
        """The picture."""
        return Screenshot.of(self._picture)

    def text(self, x: int, y: int, text: str, colour: tuple[int, int, int] | None = None) -> Box:
        """Write a text; returns its box."""
        self._draw.text((x, y), text, fill=colour or self._theme.ink, font=self._font)
        left, top, right, bottom = (int(edge) for edge in self._draw.textbbox((x, y), text, font=self._font))
        box = Box(left, top, right - left, bottom - top)
        self._lines.append(TextLine(text, box, 0.99))
        return box

    def frame(self, box: Box, *, filled: bool = True) -> Box:
        """Draw the outline of a field."""
        fill = self._theme.field if filled else None
        self._draw.rounded_rectangle(_corners(box), 4, fill=fill, outline=self._theme.rim)
        return box

    def button(self, box: Box, text: str) -> Box:
        """Draw a button with its text in the middle."""
        self._draw.rounded_rectangle(_corners(box), 6, fill=self._theme.accent)
        width = int(self._draw.textlength(text, font=self._font))
        self.text(box.center.x - width // 2, box.center.y - 12, text, (255, 255, 255))
        return box

    def field(self, box: Box, text: str = "") -> Box:
        """Draw a field with its text at the left."""
        self.frame(box)
        if text:
            self.text(box.left + 10, box.center.y - 12, text)
        return box

    def dropdown(self, box: Box, text: str) -> Box:
        """Draw a field with a chevron at the right."""
        self.field(box, text)
        x, y = box.right - 24, box.center.y
        self._draw.line([(x - 8, y - 4), (x, y + 4), (x + 8, y - 4)], fill=self._theme.ink, width=2)
        return box

    def checkbox(self, x: int, y: int, text: str, *, ticked: bool = False) -> Box:
        """Draw a box with a label to its right; returns the box alone."""
        box = Box(x, y, 24, 24)
        fill = self._theme.accent if ticked else self._theme.field
        self._draw.rectangle(_corners(box), fill=fill, outline=self._theme.rim, width=2)
        if ticked:
            self._draw.line([(x + 5, y + 12), (x + 10, y + 17), (x + 18, y + 7)], fill=(255, 255, 255), width=3)
        self.text(x + 36, y, text)
        return box

    def radio(self, x: int, y: int, text: str) -> Box:
        """Draw a circle with a label to its right; returns the circle alone."""
        box = Box(x, y, 24, 24)
        self._draw.ellipse(_corners(box), outline=self._theme.rim, width=2)
        self.text(x + 36, y, text)
        return box

    def line(self, left: int, y: int, right: int) -> None:
        """Draw a line from side to side."""
        self._draw.line([(left, y), (right, y)], fill=self._theme.rim, width=2)

    def bar(self, box: Box) -> None:
        """Fill a box with the accent's colour."""
        self._draw.rectangle(_corners(box), fill=self._theme.accent)

    def icon(self, x: int, y: int) -> Box:
        """Draw a magnifying glass."""
        self._draw.ellipse((x, y, x + 18, y + 18), outline=self._theme.ink, width=3)
        self._draw.line([(x + 16, y + 16), (x + 26, y + 26)], fill=self._theme.ink, width=3)
        return Box(x, y, 27, 27)


def hits(elements: Sequence[Element], box: Box) -> list[Element]:
    """The elements whose centres lie in a box, and that are not much larger than it."""
    return [it for it in elements if box.contains(it.box.center) and it.box.area <= 2 * box.area]


def noise(seed: int) -> Screenshot:
    """A screen of nothing but noise."""
    return Screenshot.of(np.random.default_rng(seed).integers(0, 255, (300, 400, 3), np.uint8))


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.right - 1, box.bottom - 1
