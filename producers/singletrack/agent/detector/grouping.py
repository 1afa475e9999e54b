"""From labels, frames and glyphs to parts: one for each element, with what is on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from singletrack.agent.detector.boxes import Boxes
from singletrack.agent.detector.shapes import Shape, Shapes
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.label import Label

# In units. A higher frame holds elements; something smaller is one element, whatever is drawn in it.
_HIGHEST_FRAME: Final = 5.0
_HIGHEST_FIELD: Final = 12.0
_SMALL: Final = 5.0
_APART: Final = 2.0
_WIDEST_BUTTON: Final = 22.0
_TOUCHING: Final = 0.5
_INSIDE: Final = 0.7
_SURELY_READ: Final = 0.8
_WIDEST_ICON: Final = 1.6


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a screen that is taken for one element: its frame or glyph, if any, and its texts and glyphs.

    A cell is a frame with others like it above or below, and beside it.
    """

    box: Box
    labels: tuple[Label, ...] = ()
    shape: Shape | None = None
    glyphs: tuple[Shape, ...] = ()
    is_framed: bool = False
    is_cell: bool = False

    @property
    def text(self) -> str:
        """All its texts, in reading order."""
        return " ".join(label.text for label in self.labels)


def parts_of(labels: Sequence[Label], shapes: Shapes, unit: float) -> tuple[Part, ...]:
    """Group what was found: frames with what they hold, then glyphs and labels that no frame holds."""
    labels = [label for label in labels if is_read(label) or not _is_drawn(label, shapes.glyphs)]
    texts = Boxes(label.box for label in labels)
    framed = _without_cells(list(_framed(labels, texts, shapes, unit)), unit)
    small = Boxes(part.box for part in framed if _is_small(part.box, unit))
    taken = {id(glyph) for part in framed for glyph in part.glyphs if _is_a_buttons(glyph.box, part, unit)}
    glyphs = [it for it in shapes.glyphs if id(it) not in taken]
    glyphs = [it for it in glyphs if not small.holding(it.box, _INSIDE).any() and not _is_on_a_text(it.box, texts)]
    held = {id(label) for part in framed if not _are_apart(part.labels, unit) for label in part.labels}
    return (
        *framed,
        *(Part(it.box, shape=it) for it in _small_alone(glyphs, unit)),
        *(Part(label.box, (label,)) for label in labels if id(label) not in held),
    )


def is_read(label: Label) -> bool:
    """Whether it is surely a text; icons are read as letters, with less confidence."""
    return label.score >= _SURELY_READ


def _is_drawn(label: Label, glyphs: Sequence[Shape]) -> bool:
    """Whether what was read is icons: nothing on it is wider than high, as a word is."""
    inside = [it.box for it in glyphs if label.box.contains(it.box.center)]
    return bool(inside) and all(box.width <= _WIDEST_ICON * box.height for box in inside)


def _without_cells(framed: Sequence[Part], unit: float) -> list[Part]:
    """Leave out the cells of tables that hold texts: the texts are the elements, and each is in its cell."""
    boxes, near = Boxes(part.box for part in framed), _TOUCHING * unit
    cells = [bool(boxes.stacked(it.box, near).any() and boxes.beside(it.box, near).any()) for it in framed]
    judged = (replace(part, is_cell=is_cell) for part, is_cell in zip(framed, cells, strict=True))
    return [part for part in judged if not (part.is_cell and part.labels)]


def _framed(labels: Sequence[Label], texts: Boxes, shapes: Shapes, unit: float) -> Iterator[Part]:
    glyphs = Boxes(it.box for it in shapes.glyphs)
    frames = [it for it in shapes.frames if not _holds_elements(it.box, texts, unit)]
    for frame in _small_alone(frames, unit):
        inside = [labels[index] for index in np.flatnonzero(texts.centred_in(frame.box)).tolist()]
        drawn = [shapes.glyphs[index] for index in np.flatnonzero(glyphs.centred_in(frame.box)).tolist()]
        yield Part(
            frame.box,
            tuple(sorted(inside, key=lambda it: (it.box.top, it.box.left))),
            frame,
            tuple(it for it in drawn if it.box.area < 0.6 * frame.box.area),
            is_framed=True,
        )


def _holds_elements(frame: Box, texts: Boxes, unit: float) -> bool:
    """Whether a frame is a panel or a window: with texts in several rows, or high, and not just a large field."""
    inside = texts.centred_in(frame)
    if not inside.any():
        return frame.height > _HIGHEST_FIELD * unit
    first, last = int(texts.top[inside].min()), int(texts.bottom[inside].max())
    rows = (last - first) / unit
    if frame.height <= _HIGHEST_FRAME * unit:
        return rows > 3.5 or int(inside.sum()) > 4
    at_left = bool((texts.left[inside] - frame.left < 2 * unit).all())
    is_a_field = at_left and first - frame.top < 1.5 * unit and rows < 0.5 * frame.height / unit
    return not is_a_field or frame.height > _HIGHEST_FIELD * unit


def _is_a_buttons(glyph: Box, part: Part, unit: float) -> bool:
    """Whether a glyph is the icon before a button's text."""
    if not part.labels or part.box.width > _WIDEST_BUTTON * unit:
        return False
    return 0 <= part.labels[0].box.left - glyph.right <= _APART * unit


def _are_apart(labels: Sequence[Label], unit: float) -> bool:
    """Whether texts in one frame are so far apart that they may be elements of their own."""
    edges = sorted((label.box.left, label.box.right) for label in labels)
    return any(after[0] - before[1] > _APART * unit for before, after in pairwise(edges))


def _small_alone(shapes: Sequence[Shape], unit: float) -> Iterator[Shape]:
    """Leave out what is drawn inside something small; a cell of a table may be small and hold a box beside nothing."""
    outer = [it for it in shapes if _is_small(it.box, unit) and it.is_squarish]
    boxes = Boxes(it.box for it in outer)
    for shape in sorted(shapes, key=lambda it: (-it.box.area, it.box.top, it.box.left)):
        around = boxes.holding(shape.box, _INSIDE)
        if not any(_comes_before(outer[index].box, shape.box) for index in np.flatnonzero(around).tolist()):
            yield shape


def _comes_before(outer: Box, inner: Box) -> bool:
    """Whether the first is the larger one; of two as large it is the upper left one."""
    return (-outer.area, outer.top, outer.left) < (-inner.area, inner.top, inner.left)


def _is_small(box: Box, unit: float) -> bool:
    return max(box.width, box.height) <= _SMALL * unit


def _is_on_a_text(box: Box, texts: Boxes) -> bool:
    """Whether a glyph is what is left of a letter or of an underline."""
    beside = (box.left < texts.right) & (texts.left < box.right)
    beside &= (texts.top - 4 <= box.center.y) & (box.center.y < texts.bottom + 8)
    return bool((beside & ((texts.shared_areas(box) >= 0.3 * box.area) | (box.height <= 5))).any())
