"""What a part of a screen is, by its shape and place: a first guess, and how sure it is."""

from typing import Final

from singletrack.agent.detector.grouping import Part
from singletrack.agent.detector.looks import look_at
from singletrack.agent.detector.rows import PageParts, Rows
from singletrack.agent.detector.shapes import Shape
from singletrack.agent.targets.element import Element, Role

_Guess = tuple[Role, float]
# In units.
_LARGEST_ICON: Final = 6.5
_WIDEST_BUTTON: Final = 22.0
_HEADING: Final = 1.4
_SWITCH_HEIGHTS: Final = (1.0, 2.6)
_SWITCH_ASPECTS: Final = (1.5, 2.6)
_COLOURED: Final = 70
_ROUND: Final = 0.84
_FULL: Final = 0.72
_FULLER_THAN_ROUND: Final = 0.86
_EMPTY: Final = 0.03


def elements_of(page: PageParts) -> tuple[Element, ...]:
    """Give each part its likeliest role."""
    rows = Rows(page)
    ticks = {part: guess for part in page.parts if (guess := _of_a_tick(part, page, rows)) is not None}
    labelled = {id(rows.label_of_a_tick(part.box)): guess for part, guess in ticks.items()}
    return tuple(_element(part, page, rows, ticks.get(part) or labelled.get(id(part))) for part in page.parts)


def _element(part: Part, page: PageParts, rows: Rows, tick: _Guess | None) -> Element:
    if tick is not None:
        label = None if part.labels else rows.label_of_a_tick(part.box)
        return Element(part.box, part.text if label is None else label.text, *tick)
    if part.is_framed:
        role, score = _of_a_frame(part, page, rows)
    elif part.shape is not None:
        role, score = _of_a_glyph(part.shape, page)
    else:
        role, score = _of_a_label(part, page, rows)
    return Element(part.box, part.text, role, score)


def _of_a_tick(part: Part, page: PageParts, rows: Rows) -> _Guess | None:
    """A tick box is square, a radio button round; both are empty or coloured, and have a label as a rule."""
    shape, box = part.shape, part.box
    if shape is None or part.labels or not rows.is_as_large_as_a_tick(box):
        return None
    if abs(box.width - box.height) > max(0.12 * box.height, 1):
        return None
    has_label = rows.label_of_a_tick(box) is not None
    is_plain = shape.inner <= _EMPTY or look_at(page.pixels, box).ground_colourfulness >= _COLOURED
    if shape.roundness >= _ROUND and _FULL <= shape.fullness < _FULLER_THAN_ROUND:
        return (Role.RADIO, 0.65) if has_label else None
    if not is_plain or shape.fullness < _FULL:
        return None
    return Role.CHECKBOX, 0.85 if has_label else 0.75


def _of_a_frame(part: Part, page: PageParts, rows: Rows) -> _Guess:
    width, height = part.box.width / page.unit, part.box.height / page.unit
    if not part.labels and _is_a_switch(part.box.width, part.box.height, height) and part.glyphs:
        return Role.CHECKBOX, 0.6
    if not part.labels and max(width, height) <= _LARGEST_ICON and width < 2 * height:
        return Role.ICON, 0.75 if part.glyphs else 0.5
    if part.is_cell:
        return Role.LIST_ITEM, 0.6
    if rows.is_a_tab(part):
        return Role.TAB, 0.7
    if _has_an_arrow(part):
        return Role.DROPDOWN, 0.8
    return _of_a_box(part, page, width, height)


def _is_a_switch(width: int, height: int, height_in_units: float) -> bool:
    is_long = _SWITCH_ASPECTS[0] <= width / height <= _SWITCH_ASPECTS[1]
    return is_long and _SWITCH_HEIGHTS[0] <= height_in_units <= _SWITCH_HEIGHTS[1]


def _of_a_box(part: Part, page: PageParts, width: float, height: float) -> _Guess:
    if not part.labels:
        return (Role.FIELD, 0.75) if width >= 2 * height else (Role.IMAGE, 0.5)
    content = [label.box for label in part.labels] + [glyph.box for glyph in part.glyphs]
    left = min(box.left for box in content) - part.box.left
    right = part.box.right - max(box.right for box in content)
    is_centred = abs(left - right) <= max(0.35 * (left + right), 6)
    if is_centred and width <= _WIDEST_BUTTON and left >= 0.3 * page.unit:
        return Role.BUTTON, 0.85
    if is_centred and left + right > 0.6 * part.box.width:
        return Role.BUTTON, 0.7
    look = look_at(page.pixels, part.labels[0].box)
    if look.ground_colourfulness >= _COLOURED:
        return Role.BUTTON, 0.6
    return (Role.FIELD, 0.75) if width >= 4 else (Role.BUTTON, 0.5)


def _has_an_arrow(part: Part) -> bool:
    """Whether something small and wide, such as a chevron, is at the right end."""
    for glyph in part.glyphs:
        to_the_right = part.box.right - glyph.box.right
        is_small = glyph.box.height <= 0.45 * part.box.height
        is_low = 1.15 <= glyph.box.width / glyph.box.height <= 2.6
        if 0 <= to_the_right <= 1.2 * part.box.height and is_small and is_low:
            return all(label.box.right <= glyph.box.left for label in part.labels)
    return False


def _of_a_glyph(shape: Shape, page: PageParts) -> _Guess:
    width, height = shape.box.width, shape.box.height
    if _is_a_switch(width, height, height / page.unit) and shape.fullness > 0.8:
        return Role.CHECKBOX, 0.5
    return (Role.ICON, 0.7) if max(width, height) <= _LARGEST_ICON * page.unit else (Role.IMAGE, 0.5)


def _of_a_label(part: Part, page: PageParts, rows: Rows) -> _Guess:
    if rows.is_a_tab(part):
        return Role.TAB, 0.6
    if rows.is_in_a_menu(part):
        return Role.MENU_ITEM, 0.65
    look = look_at(page.pixels, part.box)
    if look.ink_colourfulness >= _COLOURED and look.ground_colourfulness < _COLOURED:
        return Role.LINK, 0.6
    if rows.is_in_a_list(part):
        return Role.LIST_ITEM, 0.6
    if part.box.height >= _HEADING * page.unit:
        return Role.HEADING, 0.55
    return Role.TEXT, 0.5
