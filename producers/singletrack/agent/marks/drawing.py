"""Frames and numbers on a picture, to be read on light and dark alike."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.marks.plates import place_plates
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Mark
from singletrack.agent.targets.geometry import Box

_Colour = tuple[int, int, int]
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
# Far apart from each other; white figures are read on all of them.
_COLOURS: Final[tuple[_Colour, ...]] = (
    (200, 0, 0),
    (0, 90, 220),
    (0, 120, 40),
    (150, 0, 170),
    (165, 80, 0),
    (0, 110, 120),
    (205, 0, 110),
    (60, 60, 60),
)
_WHITE: Final[_Colour] = (255, 255, 255)
_FONT_PX = 17
_PADDING_PX = 3
# Between a box and its frame, so that nothing of the element is hidden.
_AIR_PX = 1


def draw_marks(pixels: Pixels, marks: Sequence[Mark]) -> Pixels:
    """Return a copy of RGB pixels with each mark's frame around its box, and its number in a plate beside it.

    Frame and plate have one colour, with a white rim.
    """
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT_PX)
    sizes = [_plate_size(draw, mark, font) for mark in marks]
    plates = place_plates(pixels, [_frame(mark.element.box) for mark in marks], sizes)
    for mark in marks:
        _draw_frame(draw, mark)
    for mark, plate in zip(marks, plates, strict=True):
        _draw_plate(draw, mark, plate, font)
    return np.asarray(picture)


def _frame(box: Box) -> Box:
    """The box with its frame: two pixels of colour and one of white around the air."""
    wide = _AIR_PX + 3
    return Box(box.left - wide, box.top - wide, box.width + 2 * wide, box.height + 2 * wide)


def _draw_frame(draw: ImageDraw.ImageDraw, mark: Mark) -> None:
    box, air = mark.element.box, _AIR_PX
    rim = (box.left - air - 3, box.top - air - 3, box.right + air + 2, box.bottom + air + 2)
    line = (box.left - air - 2, box.top - air - 2, box.right + air + 1, box.bottom + air + 1)
    draw.rectangle(rim, outline=_WHITE, width=1)
    draw.rectangle(line, outline=_colour(mark), width=2)


def _draw_plate(draw: ImageDraw.ImageDraw, mark: Mark, plate: Box, font: _Font) -> None:
    corners = (plate.left, plate.top, plate.right - 1, plate.bottom - 1)
    draw.rectangle(corners, fill=_colour(mark), outline=_WHITE, width=1)
    middle = (plate.left + plate.width / 2, plate.top + plate.height / 2)
    draw.text(middle, str(mark.number), fill=_WHITE, font=font, anchor="mm")


def _plate_size(draw: ImageDraw.ImageDraw, mark: Mark, font: _Font) -> tuple[int, int]:
    width = draw.textlength(str(mark.number), font=font)
    return int(width) + 2 * _PADDING_PX + 2, _FONT_PX + _PADDING_PX


def _colour(mark: Mark) -> _Colour:
    return _COLOURS[(mark.number - 1) % len(_COLOURS)]
