"""A page drawn with Pillow: a stage like any other, with ways to be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from evaluation.catalogue import Page
from evaluation.looks import Look
from evaluation.stages.stage import Scene, to_element
from evaluation.truth import Half, TrueElement
from singletrack.agent.screen.screenshot import Pixels

WIDTH, HEIGHT = 640, 400
# Id, label, left, top, width, height.
BUTTONS = (
    ("save", "Save", 30, 40, 120, 40),
    ("cancel", "Cancel", 180, 40, 120, 40),
    ("print", "Print", 330, 40, 120, 40),
    ("search", "Search", 480, 40, 120, 40),
    ("archive", "Archive", 30, 150, 120, 40),
    ("export", "Export", 180, 150, 120, 40),
    ("other-save", "Save", 330, 150, 120, 40),
    ("third-save", "Save", 480, 300, 120, 40),
)


@dataclass
class DrawnStage:
    """Shows `BUTTONS`; the fields say what is wrong with it."""

    hides: bool = True
    moves_others: bool = False
    label: str = "Print"
    left: int = 330
    look: Look = Look()  # noqa: RUF009 - it is frozen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, look: Look) -> Scene:
        # This toolkit has no other font.
        self.look = replace(look, font=False)
        return Scene(self._drawn([]), tuple(self._element(*button) for button in self._buttons()))

    def without(self, ids: Sequence[str]) -> Pixels:
        return self._drawn(ids if self.hides else [], moved=3 if self.moves_others and ids else 0)

    def _buttons(self) -> list[tuple[str, str, int, int, int, int]]:
        return [
            (name, self.label if name == "print" else label, self.left if name == "print" else left, top, width, height)
            for name, label, left, top, width, height in BUTTONS
        ]

    def _element(self, name: str, label: str, left: int, top: int, width: int, height: int) -> TrueElement:
        box = [round(edge * self.look.scale) for edge in (left, top, width, height)]
        click = [box[0] + box[2] // 2, box[1] + box[3] // 2]
        return to_element({"id": name, "role": "button", "label": label, "text": label, "box": box, "click": click})

    def _drawn(self, hidden: Sequence[str], moved: int = 0) -> Pixels:
        scale = self.look.scale
        size = (round(WIDTH * scale), round(HEIGHT * scale))
        back, ink = ("#202020", "#f0f0f0") if self.look.dark else ("#f0f0f0", "#101010")
        picture = Image.new("RGB", size, back)
        pen = ImageDraw.Draw(picture)
        font = ImageFont.load_default(size=18 * scale)
        for name, label, left, top, width, height in self._buttons():
            if name not in hidden:
                down = moved if name == "archive" else 0
                edges = [round(e * scale) for e in (left, top + down, left + width - 1, top + down + height - 1)]
                fill = "#a0c0ff" if self.look.accent else "#808080" if self.look.reflow else back
                pen.rectangle(edges, outline=ink, fill=fill)
                text = label.upper() if self.look.german else label
                pen.text((edges[0] + 12 * scale, edges[1] + 8 * scale), text, fill=ink, font=font)
        return np.asarray(picture)


def drawn_page(stage: DrawnStage | None = None) -> Page:
    """The drawn page as one of the catalogue's."""
    return Page("drawn", "pillow", "plain", Half.TUNING, 100, lambda: stage or DrawnStage())
