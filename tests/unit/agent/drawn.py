"""Pages that are drawn for a test: rows of texts with an icon at their end, and a toolbar of icons."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Point
from tests.unit.agent.pages import reader

Row = tuple[str, ...]
COLUMNS = (60, 240, 420)
ICON_COLUMN = 600
FIRST_ROW, ROW = 180, 40
TOOLS_AT, TOOL = Point(70, 80), 60


@cache
def drawn_page(rows: Sequence[Row] = (), tools: Sequence[str] = (), footer: str = "Close the register") -> SeenScreen:
    """Draw a page, and read it with the real engine."""
    picture = Image.new("RGB", (900, 640), (244, 245, 247))
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=18)
    for left, text in zip((40, 200, 400, 650), ("Register", "All customers", "Last change today", "Help"), strict=True):
        pen.text((left, 20), text, (20, 20, 30), font)
    for place, name in enumerate(tools):
        _draw_icon(pen, name, tool_at(place))
    for place, row in enumerate(rows):
        for left, text in zip(COLUMNS, row, strict=True):
            pen.text((left, row_at(place).y), text, (20, 20, 30), font, anchor="lm")
        _draw_icon(pen, "cross", row_at(place))
    for left, text in zip((60, 380, 640), (footer, "Fourteen entries", "Synchronised"), strict=True):
        pen.text((left, 560), text, (20, 20, 30), font)
    return SeenScreen.of(Screenshot(np.asarray(picture)), reader())


def row_at(place: int) -> Point:
    """Return the middle of the icon at the end of a row."""
    return Point(ICON_COLUMN, FIRST_ROW + place * ROW)


def tool_at(place: int) -> Point:
    """Return the middle of an icon of the toolbar."""
    return Point(TOOLS_AT.x + place * TOOL, TOOLS_AT.y)


def _draw_icon(pen: ImageDraw.ImageDraw, name: str, at: Point) -> None:
    ink, x, y = (50, 50, 60), at.x, at.y
    pen.rectangle((x - 10, y - 12, x + 10, y + 12), outline=ink, width=2)
    if name in {"plus", "minus"}:
        pen.line((x - 5, y, x + 5, y), ink, 2)
    if name == "plus":
        pen.line((x, y - 5, x, y + 5), ink, 2)
    if name == "cross":
        pen.line((x - 5, y - 5, x + 5, y + 5), ink, 2)
        pen.line((x - 5, y + 5, x + 5, y - 5), ink, 2)
