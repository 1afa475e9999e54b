"""What a label is read as, now and then."""

from typing import Final

from rapidfuzz import fuzz

from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.comparing import digits_of, text_key
from singletrack.agent.words.label import Label

_MARGINS_PX: Final = (6, 16)
_LEAST_LIKENESS: Final = 60
_LEAST_OVERLAP: Final = 0.5
_WHOLE: Final = 0.7


def readings_of(label: Label, seen: SeenScreen) -> tuple[str, ...]:
    """Return what else the label at a place was read as, by the whole screen's reading and by closer looks."""
    here = [one for one in _labels_at(label.box, seen) if one.key != label.key and _is_misread(one, label)]
    return tuple(sorted({one.text for one in here}))


def _is_misread(one: Label, label: Label) -> bool:
    """Return whether two labels at one place are the same text; part of it would be another element's."""
    is_whole = one.box.overlap(label.box) >= _WHOLE and abs(len(one.key) - len(label.key)) <= 1
    return is_whole and fuzz.ratio(one.key, label.key) >= _LEAST_LIKENESS


def readings_on_copies(text: str, box: Box, copies: list[tuple[SeenScreen, float]]) -> tuple[str, ...]:
    """Return what else a text is read as on copies of the screen, each with its scale."""
    found = [label for copy, scale in copies for label in _labels_at(_scaled(box, scale), copy)]
    return other_readings(text, text_key(text), found)


def other_readings(text: str, key: str, labels: list[Label]) -> tuple[str, ...]:
    """Return the texts of labels that may be another reading of a text: alike, and with the same digits."""
    others = (
        one.text
        for one in labels
        if one.key != key and digits_of(one.key) == digits_of(key) and fuzz.ratio(one.key, key) >= _LEAST_LIKENESS
    )
    return tuple(sorted(set(others) - {text}))


def _labels_at(box: Box, seen: SeenScreen) -> list[Label]:
    found = [label for label in seen.labels if label.box.overlap(box) >= _LEAST_OVERLAP]
    for margin in _MARGINS_PX:
        part = Box(box.left - margin, box.top - margin, box.width + 2 * margin, box.height + 2 * margin)
        found += [label for label in seen.read_closely(part) if label.box.overlap(box) >= _LEAST_OVERLAP]
    return found


def _scaled(box: Box, scale: float) -> Box:
    return Box(round(box.left * scale), round(box.top * scale), round(box.width * scale), round(box.height * scale))
