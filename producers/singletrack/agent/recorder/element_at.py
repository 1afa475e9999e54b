"""The element at a point: its box, its text, and what it seems to be."""

from dataclasses import dataclass
from typing import Final

from singletrack.agent.seen import SeenScreen
from singletrack.agent.seen.shapes import frames_at, glyph_at, glyph_in
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.words.label import Label

_SLACK_PX: Final = 3
_GLYPH_PAD_PX: Final = 5
_GLYPH_REACH_PX: Final = 14
_FRAME_PAD_PX: Final = 4
_SMALL_PX: Final = 100
_SMALLEST_BUTTON_PX: Final = 18
_WIDEST_BUTTON_PX: Final = 300
_HIGHEST_FIELD_PX: Final = 600
_RIM_PX: Final = 2
# A frame of this size around a glyph is a button: the glyph tells more than the frame.
_BUTTON_PX: Final = 22
_CHECKBOX_PX: Final = 44
_OF_ITS_BOX: Final = 0.7
# A frame belongs to its text up to this many times the text's height.
_FRAME_OF_TEXT: Final = 4.5
_ROW_REACH_PX: Final = 420
_BLANK_PX: Final = 48
_LARGEST_ICON_PX: Final = 64
_READ_AROUND_PX: Final = 10
_SURE_READING: Final = 0.8
# A shorter reading that a second look does not confirm is an icon.
_SURE_LETTERS: Final = 5


@dataclass(frozen=True, slots=True)
class ElementAt:
    """The box of an element, the label it bears (None without one), its role as far as its shape tells."""

    box: Box
    label: Label | None
    role: Role | None


def element_at(seen: SeenScreen, point: Point) -> ElementAt:
    """Find the element that a person means who clicks a point of the screen."""
    frames = frames_at(seen, point)
    label = _label_at(seen, point)
    if label is not None:
        return _of_text(seen, label, frames)
    framed = _of_frame(seen, point, frames)
    if framed is not None:
        return framed
    glyph = glyph_at(seen, point, _GLYPH_REACH_PX)
    if glyph is not None:
        return ElementAt(_inside(_padded(glyph, _GLYPH_PAD_PX), seen), None, Role.ICON)
    beside = _label_beside(seen, point)
    if beside is not None:
        return ElementAt(_around(beside.box, point), beside, None)
    half = _BLANK_PX // 2
    return ElementAt(_inside(Box(point.x - half, point.y - half, _BLANK_PX, _BLANK_PX), seen), None, None)


def _label_at(seen: SeenScreen, point: Point) -> Label | None:
    """Return the label at a point, read again from near where that is surer; None for a sign that is not read twice."""
    label = next((one for one in seen.labels if _padded(one.box, _SLACK_PX).contains(point)), None)
    if label is None:
        return None
    around = _padded(label.box, _READ_AROUND_PX)
    again = [
        one
        for one in seen.read_closely(around)
        if _padded(one.box, _SLACK_PX).contains(point) and one.score >= _SURE_READING and _is_whole(one, around)
    ]
    if again:
        return again[0]
    return label if label.score >= _SURE_READING and len(label.key) >= _SURE_LETTERS else None


def _is_whole(label: Label, part: Box) -> bool:
    """Return whether a label is not cut off by the part's sides."""
    return label.box.left > part.left + 2 and label.box.right < part.right - 2


def _of_text(seen: SeenScreen, label: Label, frames: list[Box]) -> ElementAt:
    for frame in frames:
        fits = _holds(frame, label.box) and frame.height <= _FRAME_OF_TEXT * label.box.height
        if fits and len(_labels_in(seen, frame)) <= 1:
            return ElementAt(frame, label, _role_of_frame(frame, label))
    return ElementAt(_inside(_padded(label.box, _SLACK_PX), seen), label, None)


def _of_frame(seen: SeenScreen, point: Point, frames: list[Box]) -> ElementAt | None:
    for frame in frames:
        labels = _labels_in(seen, frame)
        if len(labels) > 1:
            return None
        icon = _icon_in(seen, point, frame)
        if icon is not None:
            return icon
        if labels:
            return ElementAt(frame, labels[0], _role_of_frame(frame, labels[0]))
        unread = _text_in(seen, frame)
        if unread is not None:
            return ElementAt(frame, unread, _role_of_frame(frame, unread))
        if max(frame.width, frame.height) <= _SMALL_PX:
            return _small(seen, point, frame)
        if frame.height <= _HIGHEST_FIELD_PX:
            return ElementAt(_inside(_padded(frame, _FRAME_PAD_PX), seen), None, Role.FIELD)
    return None


def _icon_in(seen: SeenScreen, point: Point, frame: Box) -> ElementAt | None:
    """Return the icon at a point of a wide field: a button of its own."""
    glyph = glyph_at(seen, point, 1) if max(frame.width, frame.height) > _SMALL_PX else None
    if glyph is None or max(glyph.width, glyph.height) > _LARGEST_ICON_PX or not _holds(frame, glyph):
        return None
    if any(label.box.shared_area(glyph) > 0 for label in seen.labels):
        return None
    return ElementAt(_inside(_padded(glyph, _GLYPH_PAD_PX), seen), None, Role.ICON)


def _text_in(seen: SeenScreen, frame: Box) -> Label | None:
    """Return the text of a button that the whole screen's reading missed."""
    if not _SMALLEST_BUTTON_PX <= frame.height <= _SMALL_PX or frame.width > _WIDEST_BUTTON_PX:
        return None
    inside = _padded(frame, -_RIM_PX)
    found = [one for one in seen.read_closely(inside) if one.score >= _SURE_READING and _is_whole(one, inside)]
    return found[0] if len(found) == 1 and len(found[0].key) > 1 else None


def _small(seen: SeenScreen, point: Point, frame: Box) -> ElementAt:
    inner = glyph_in(seen, frame)
    if inner is not None and frame.height >= _BUTTON_PX:
        return ElementAt(_inside(_padded(inner, _GLYPH_PAD_PX), seen), None, Role.ICON)
    glyph = glyph_at(seen, point, _GLYPH_REACH_PX)
    if glyph is None or max(glyph.width, glyph.height) > _SMALL_PX:
        return ElementAt(_inside(_padded(frame, _FRAME_PAD_PX), seen), None, Role.ICON)
    is_square = abs(glyph.width - glyph.height) <= 4 and glyph.width <= _CHECKBOX_PX
    if is_square and _holds(glyph, frame) and min(frame.width, frame.height) >= _OF_ITS_BOX * glyph.width:
        return ElementAt(_inside(_padded(glyph, _FRAME_PAD_PX), seen), None, Role.CHECKBOX)
    chosen = _padded(glyph, _GLYPH_PAD_PX) if _holds(glyph, frame) else _padded(frame, _FRAME_PAD_PX)
    return ElementAt(_inside(chosen, seen), None, Role.ICON)


def _role_of_frame(frame: Box, label: Label) -> Role | None:
    left, right = label.box.left - frame.left, frame.right - label.box.right
    if abs(left - right) <= 0.15 * frame.width:
        return Role.BUTTON
    return Role.FIELD if left < 0.5 * right else None


def _labels_in(seen: SeenScreen, frame: Box) -> list[Label]:
    return [label for label in seen.labels if frame.contains(label.box.center)]


def _label_beside(seen: SeenScreen, point: Point) -> Label | None:
    """Return the nearest label of the row, to the left as a rule."""
    row = [one for one in seen.labels if one.box.top - _SLACK_PX <= point.y < one.box.bottom + _SLACK_PX]
    left = max((one for one in row if one.box.right <= point.x), key=lambda one: one.box.right, default=None)
    if left is not None and point.x - left.box.right <= _ROW_REACH_PX:
        return left
    return None


def _around(box: Box, point: Point) -> Box:
    left, top = min(box.left, point.x - _SLACK_PX), min(box.top, point.y - _SLACK_PX)
    right, bottom = max(box.right, point.x + _SLACK_PX), max(box.bottom, point.y + _SLACK_PX)
    return Box(left, top, right - left, bottom - top)


def _holds(frame: Box, box: Box) -> bool:
    return frame.shared_area(box) >= 0.95 * box.area


def _padded(box: Box, pad: int) -> Box:
    return Box(box.left - pad, box.top - pad, box.width + 2 * pad, box.height + 2 * pad)


def _inside(box: Box, seen: SeenScreen) -> Box:
    left, top = max(box.left, 0), max(box.top, 0)
    right, bottom = min(box.right, seen.screenshot.width), min(box.bottom, seen.screenshot.height)
    return Box(left, top, max(right - left, 1), max(bottom - top, 1))
