"""What lies beside, above and below what: rows of tabs and menus, cells of tables, lists."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from singletrack.agent.detector.boxes import Boxes
from singletrack.agent.detector.edges import Bits
from singletrack.agent.detector.grouping import Part
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box

# In units.
_TAB_GAP: Final = 0.42
_MENU_GAPS: Final = (0.6, 5.0)
_MENU_WIDEST: Final = 10.0
_ROW_PITCH: Final = (1.2, 4.5)
_ICON_GAP: Final = 2.6
_INDENT: Final = 2.5
_TICK_GAP: Final = 1.7
_TICK_SIZES: Final = (0.7, 2.2)
# A share of a screen's height.
_MENU_LOWEST: Final = 0.2
_COLOURED: Final = 70
_LINE_REACH: Final = 6


@dataclass(frozen=True, eq=False)
class PageParts:
    """What a part's role is judged by: the pixels, the long lines, all parts, the usual height of a text (pixels)."""

    pixels: Pixels
    lines: Bits
    parts: tuple[Part, ...]
    unit: float


class Rows:
    """The neighbours of parts."""

    def __init__(self, page: PageParts) -> None:
        self._page, self._unit = page, page.unit
        self._labels = [part for part in page.parts if part.shape is None]
        self._label_boxes = Boxes(part.box for part in self._labels)
        self._glyphs = Boxes(part.box for part in page.parts if part.shape is not None and not part.is_framed)
        self._framed = [part for part in page.parts if part.is_framed]
        self._frames = Boxes(part.box for part in self._framed)
        self._with_texts = np.array([bool(part.labels) for part in self._framed], dtype=bool)
        self._small = Boxes(part.box for part in page.parts if part.shape is not None and self._is_small(part.box))
        self._underlined = np.array([self._is_underlined(part.box) for part in self._labels], dtype=bool)
        self._menu = {id(part) for part in self._menu_row()}

    def is_a_tab(self, part: Part) -> bool:
        """Whether it is in a row of three or more: frames that touch, on one line, or texts, one of them underlined."""
        if not part.labels:
            return False
        if part.is_framed:
            row = self._frames.in_row(part.box) & self._with_texts
            touching = row & (self._frames.gaps(part.box) <= _TAB_GAP * self._unit)
            return int(row.sum()) >= 3 and int(touching.sum()) >= 2 and self._stands_on_a_line(part.box)
        row = self._label_boxes.in_row(part.box)
        return int(row.sum()) >= 3 and bool((row & self._underlined).any())

    def is_in_a_menu(self, part: Part) -> bool:
        """Whether it is in the row of short labels at the top."""
        return id(part) in self._menu

    def is_in_a_list(self, part: Part) -> bool:
        """Whether others like it lie above and below it, or above or below it where it has an icon to its left."""
        box, unit = part.box, self._unit
        gap = box.left - self._small.right
        has_icon = bool(((gap >= 0) & (gap <= _ICON_GAP * unit) & self._small.share_row(box)).any())
        pitch = np.abs(self._label_boxes.top - box.top)
        # Trees are indented.
        column = np.abs(self._label_boxes.left - box.left) <= (_INDENT * unit if has_icon else 3)
        near = column & (pitch >= _ROW_PITCH[0] * unit) & (pitch <= _ROW_PITCH[1] * unit)
        return int(near.sum()) >= (1 if has_icon else 2)

    def label_of_a_tick(self, box: Box) -> Part | None:
        """The label to the right of something as small as a tick box, None without one."""
        gap = self._label_boxes.left - box.right
        beside = (gap >= 0) & (gap <= _TICK_GAP * self._unit) & self._label_boxes.share_row(box)
        nearest = min(np.flatnonzero(beside), key=lambda index: int(gap[index]), default=None)
        return None if nearest is None else self._labels[nearest]

    def is_as_large_as_a_tick(self, box: Box) -> bool:
        """Whether it has the size of a tick box."""
        return _TICK_SIZES[0] * self._unit <= max(box.width, box.height) <= _TICK_SIZES[1] * self._unit

    def _menu_row(self) -> list[Part]:
        lowest = _MENU_LOWEST * self._page.pixels.shape[0]
        for first in sorted(self._labels, key=lambda it: (it.box.top, it.box.left)):
            if first.box.top > lowest:
                break
            run = self._run_from(first)
            bounds = Box(run[0].box.left, first.box.top, run[-1].box.right - run[0].box.left, first.box.height)
            is_bare = not self._glyphs.centred_in(bounds).any() and not self.is_a_tab(first)
            if len(run) >= 3 and is_bare and all(it.box.width <= _MENU_WIDEST * self._unit for it in run):
                return run
        return []

    def _run_from(self, first: Part) -> list[Part]:
        """The labels of a row from its left end on, as long as their distances are those of a menu."""
        beside = np.flatnonzero(self._label_boxes.in_row(first.box))
        row = sorted((self._labels[index] for index in beside), key=lambda it: it.box.left)
        run = row[:1]
        for part in row[1:]:
            gap = part.box.left - run[-1].box.right
            if not _MENU_GAPS[0] * self._unit <= gap <= _MENU_GAPS[1] * self._unit:
                break
            run.append(part)
        return run

    def _stands_on_a_line(self, box: Box) -> bool:
        """Whether a line along its lower edge goes on far beyond it, to one side at least."""
        lines = self._page.lines[max(box.bottom - _LINE_REACH, 0) : box.bottom + _LINE_REACH]
        left, right = lines[:, max(box.left - box.width, 0) : box.left], lines[:, box.right : box.right + box.width]
        return any(side.shape[1] > self._unit and bool(side.all(axis=1).any()) for side in (left, right))

    def _is_underlined(self, box: Box) -> bool:
        """Whether a coloured bar lies under it, at some distance, that is at least as wide."""
        unit, pixels = self._unit, self._page.pixels
        top, bottom = box.bottom + int(0.4 * unit), min(box.bottom + int(1.8 * unit), pixels.shape[0])
        under = pixels[top:bottom, box.left : box.right].astype(np.int16)
        if under.shape[0] < 3:
            return False
        spread = under.max(axis=2) - under.min(axis=2)
        bars = (spread >= _COLOURED).mean(axis=1) > 0.95
        return 2 <= int(bars.sum()) <= max(0.6 * unit, 4)

    def _is_small(self, box: Box) -> bool:
        return max(box.width, box.height) <= _ICON_GAP * self._unit
