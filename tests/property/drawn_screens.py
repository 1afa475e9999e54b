"""Screens that Hypothesis draws: labels, buttons, icons, boxes in the cells of a grid, and a reader that knows them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import hypothesis.strategies as st
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.words.reader import TextLine

COLUMNS, ROWS = 5, 8
CELL: Final = (210, 56)
SIZE: Final = (COLUMNS * CELL[0] + 60, ROWS * CELL[1] + 60)
FONT: Final = ImageFont.load_default(20)
# Alike and not the same, as on real screens.
TEXTS: Final = (
    "Open",
    "Open all",
    "Save",
    "Saved",
    "General",
    "Général",
    "30912",
    "30911",
    "Delete",
    "1,592.00",
    "Close",
)


class Kind(StrEnum):
    """What is in a cell."""

    LABEL = "label"
    BUTTON = "button"
    CHECKBOX = "checkbox"
    PLUS = "plus"
    ARROW = "arrow"
    RING = "ring"


WITH_TEXT: Final = (Kind.LABEL, Kind.BUTTON)


@dataclass(frozen=True, slots=True)
class Item:
    """Something in a cell; only labels and buttons bear their text."""

    kind: Kind
    text: str


Cell = tuple[int, int]
Items = dict[Cell, Item]

items = st.builds(Item, st.sampled_from(Kind), st.sampled_from(TEXTS))
cells = st.tuples(st.integers(0, COLUMNS - 1), st.integers(0, ROWS - 1))
screens = st.dictionaries(cells, items, min_size=2, max_size=24)


@dataclass
class DrawnReader:
    """Reads whole screens: it knows what was drawn on them. Of parts it reads nothing."""

    name: str = "drawn"
    lines: dict[bytes, list[TextLine]] = field(default_factory=dict)

    def read(self, pixels: Pixels) -> list[TextLine]:
        return self.lines.get(pixels.tobytes(), [])


def draw(content: Items, moved: tuple[int, int] = (0, 0)) -> tuple[Pixels, list[TextLine]]:
    """Draw a screen, everything moved by some pixels; return its RGB pixels and its texts."""
    picture = Image.new("RGB", SIZE, (246, 246, 248))
    pencil = ImageDraw.Draw(picture)
    lines = []
    for cell, item in sorted(content.items()):
        left, top = corner(cell, moved)
        _draw_item(pencil, item, left, top)
        if item.kind in WITH_TEXT:
            box = pencil.textbbox((left + 10, top + 8), item.text, font=FONT)
            x, y, right, bottom = (int(one) for one in box)
            lines.append(TextLine(item.text, Box(x - 3, y - 3, right - x + 6, bottom - y + 6), 0.98))
    return np.asarray(picture), lines


def seen(content: Items, reader: DrawnReader, moved: tuple[int, int] = (0, 0)) -> SeenScreen:
    """Draw a screen and read it."""
    pixels, lines = draw(content, moved)
    reader.lines[pixels.tobytes()] = lines
    return SeenScreen.of(Screenshot(pixels), reader)


def corner(cell: Cell, moved: tuple[int, int] = (0, 0)) -> Cell:
    return 20 + cell[0] * CELL[0] + moved[0], 20 + cell[1] * CELL[1] + moved[1]


def middle(cell: Cell, item: Item) -> Point:
    """Where a person would click on an item."""
    left, top = corner(cell)
    if item.kind in WITH_TEXT:
        return Point(left + 10 + int(FONT.getlength(item.text)) // 2, top + 20)
    return Point(left + 14, top + 20)


def _draw_item(pencil: ImageDraw.ImageDraw, item: Item, left: int, top: int) -> None:
    ink = (40, 44, 60)
    if item.kind is Kind.BUTTON:
        pencil.rectangle((left, top, left + 150, top + 38), fill="white", outline=(130, 130, 140))
    if item.kind in WITH_TEXT:
        pencil.text((left + 10, top + 8), item.text, font=FONT, fill=ink)
    elif item.kind is Kind.CHECKBOX:
        pencil.rectangle((left + 3, top + 9, left + 25, top + 31), fill="white", outline=ink)
    elif item.kind is Kind.PLUS:
        pencil.line((left + 2, top + 20, left + 26, top + 20), fill=ink, width=3)
        pencil.line((left + 14, top + 8, left + 14, top + 32), fill=ink, width=3)
    elif item.kind is Kind.ARROW:
        pencil.polygon(((left + 2, top + 30), (left + 14, top + 9), (left + 26, top + 30)), fill=ink)
    else:
        pencil.ellipse((left + 2, top + 8, left + 26, top + 32), outline=ink, width=3)
