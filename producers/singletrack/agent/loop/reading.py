"""Texts on a screen: whether one is there, and whether a field shows what was typed."""

from collections.abc import Sequence

from rapidfuzz import fuzz

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import Resolution
from singletrack.agent.targets.target import Target
from singletrack.agent.words.comparing import are_same_keys, digits_of, text_key
from singletrack.agent.words.label import Label
from singletrack.agent.words.reader import TextLine, TextReader

# Of a text that is longer than its field, as much as this must be visible.
_VISIBLE_CHARS_MIN = 8
# And as much of the field's width it must fill: what is shorter was cut off, not hidden.
_FULL_SHARE = 0.8
_LOOKALIKES = str.maketrans({"0": "o", "1": "l"})
# Of 100: texts as like as this may be one text, misread.
_MISREAD = 80
# Engines misread a letter in a hundred; typing loses letters.
_CHARS_A_SLIP = 25
_MARGIN_PX = 6
# A text's own box stands for a field that is wider: as many heights to its right are read as well.
_REACH = 14


def shows(seen: SeenScreen, text: str) -> bool:
    """Whether a text is on a screen: a whole label, or whole words of a line, in their order."""
    wanted = _words(text)
    if not wanted:
        return False
    lines = [_words(label.text) for label in seen.labels]
    rows = [[word for label in row for word in _words(label.text)] for row in _rows(seen)]
    return any(_has(line, wanted) for line in (*lines, *rows))


def shows_nothing_like(seen: SeenScreen, text: str) -> bool:
    """Whether a text is not on a screen, and nothing that could be the same text misread."""
    wanted = "".join(_words(text))
    return not shows(seen, text) and not any(fuzz.ratio(_key(label.text), wanted) >= _MISREAD for label in seen.labels)


def field_box(target: Target, found: Resolution, screenshot: Screenshot) -> Box:
    """Where a field shows its text: the found box if a field was found, else what is beside the text that was."""
    if found.box is None:
        return screenshot.box
    box, reach = found.box, 0 if _is_field(target) else _REACH * found.box.height
    left, top = max(box.left - _MARGIN_PX, 0), max(box.top - _MARGIN_PX, 0)
    right = min(box.right + max(reach, _MARGIN_PX), screenshot.width)
    return Box(left, top, right - left, min(box.bottom + _MARGIN_PX, screenshot.height) - top)


def hidden_box(target: Target, found: Resolution, screenshot: Screenshot) -> Box:
    """Where a secret may be seen: where its field shows it, and all beside a text that stands for the field."""
    box = field_box(target, found, screenshot)
    return box if _is_field(target) else Box(box.left, box.top, screenshot.width - box.left, box.height)


def read_field(screenshot: Screenshot, box: Box, reader: TextReader) -> tuple[TextLine, ...]:
    """Read the lines of a field; their boxes are in its pixels."""
    pixels = screenshot.crop(box).copy()
    return tuple(sorted(reader.read(pixels), key=lambda line: (line.box.center.y // 12, line.box.left)))


def is_read_back(typed: str, lines: Sequence[TextLine], box: Box, *, is_whole: bool) -> bool:
    """Whether a field shows a text that was typed, or of one that is wider than the field its end.

    With `is_whole` it must show nothing else, as after it was cleared.
    """
    wanted = _key(typed)
    shown = [_key(text) for text in (*(line.text for line in lines), _joined(lines))]
    if not wanted:
        # Nothing but marks, which engines read unsurely.
        return any(line.text.strip() for line in lines)
    if any(_is_the_same(key, wanted) for key in shown):
        return True
    if not is_whole and any(_is_the_same(key[-len(wanted) :], wanted) for key in shown):
        return True
    fills_it = sum(line.box.width for line in lines) >= _FULL_SHARE * box.width
    return fills_it and any(len(key) >= _VISIBLE_CHARS_MIN and _is_the_same(key, wanted[-len(key) :]) for key in shown)


def _is_field(target: Target) -> bool:
    """Whether the box that was found is a field's, and not that of a text in it or beside it."""
    return target.anchor is not None or target.role is Role.FIELD


def _is_the_same(shown: str, wanted: str) -> bool:
    """Whether two keys are the same: no letter lost, none more, and of a long text at most a few misread."""
    if len(shown) != len(wanted) or digits_of(shown) != digits_of(wanted):
        return False
    return sum(one != other for one, other in zip(shown, wanted, strict=True)) <= len(wanted) // _CHARS_A_SLIP


def told(lines: Sequence[TextLine]) -> str:
    """What a field shows, for people."""
    return _joined(lines) or "nothing"


def _joined(lines: Sequence[TextLine]) -> str:
    return " ".join(line.text for line in lines)


def _key(text: str) -> str:
    return text_key(text).translate(_LOOKALIKES)


def _words(text: str) -> list[str]:
    return [key for key in map(_key, text.split()) if key]


def _has(line: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether words stand in a line side by side, or the line says the same with its blanks elsewhere."""
    count = len(wanted)
    if any(list(line[start : start + count]) == list(wanted) for start in range(len(line) - count + 1)):
        return True
    return are_same_keys("".join(line), "".join(wanted))


def _rows(seen: SeenScreen) -> list[list[Label]]:
    """Labels side by side, from left to right."""
    rows: list[list[Label]] = []
    for label in sorted(seen.labels, key=lambda label: label.box.center.y):
        box = label.box
        if rows and abs(rows[-1][-1].box.center.y - box.center.y) < min(rows[-1][-1].box.height, box.height) / 2:
            rows[-1].append(label)
        else:
            rows.append([label])
    return [sorted(row, key=lambda label: label.box.left) for row in rows]
