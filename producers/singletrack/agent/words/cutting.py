"""An engine's lines, cut where two labels were read as one, and joined where one was read as two."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.aligning import Span, align
from singletrack.agent.words.cleaning import clean, is_sign, split_signs
from singletrack.agent.words.comparing import is_telling
from singletrack.agent.words.inking import ink_of, spans_of, tightened
from singletrack.agent.words.label import Label
from singletrack.agent.words.reader import TextLine

# Gaps in heights of the ink. Between words of one label they are about a third, in fixed-width type up to two thirds.
_SURE_GAP: Final = 0.95
_LIKELY_GAP: Final = 0.5
_LEAST_SPACE: Final = 0.25
_MORE_THAN_A_SPACE: Final = 2.2
_JOINED_GAP: Final = 0.42
_MOST_WORDS: Final = 24
_LEAST_SCORE: Final = 0.5
# A lone sign is more often an icon than a text.
_LEAST_SCORE_OF_ONE: Final = 0.9


def labels_of(lines: Sequence[TextLine], pixels: Pixels) -> tuple[Label, ...]:
    """Return the labels (from top to bottom) that an engine's lines on RGB pixels make."""
    pieces = [label for line in lines for label in _cut(line, pixels)]
    joined = _join(sorted(pieces, key=lambda label: (label.box.left, label.box.top)))
    kept = (Label(clean(label.text), label.box, label.score) for label in joined)
    return tuple(sorted(filter(_is_kept, kept), key=lambda label: (label.box.top, label.box.left)))


def _is_kept(label: Label) -> bool:
    least = _LEAST_SCORE if len(label.text) > 1 else _LEAST_SCORE_OF_ONE
    return label.score >= least and is_telling(label.text)


def _cut(line: TextLine, pixels: Pixels) -> list[Label]:
    words = split_signs(line.text)
    box = _inside(line.box, pixels)
    if not words or box.area == 0:
        return []
    ink = ink_of(pixels[box.top : box.bottom, box.left : box.right])
    height = len(np.flatnonzero(ink.any(axis=1)))
    units = _merged(spans_of(np.asarray(ink.any(axis=0))), _LEAST_SPACE * height)
    labels = []
    for text, left, right in _pieces(words, units, height):
        tight = tightened(box, ink, left, right)
        if tight is not None:
            labels.append(Label(text, tight, line.score))
    return labels


def _inside(box: Box, pixels: Pixels) -> Box:
    left, top = max(box.left, 0), max(box.top, 0)
    right, bottom = min(box.right, pixels.shape[1]), min(box.bottom, pixels.shape[0])
    return Box(left, top, max(right - left, 0), max(bottom - top, 0))


def _merged(spans: list[Span], least_gap: float) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start - merged[-1][1] < least_gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def _pieces(words: list[str], units: list[Span], height: int) -> list[tuple[str, int, int]]:
    """Return the text and the columns of each label: words between which there is neither a wide gap nor an icon."""
    if not units:
        return []
    if len(units) == 1 or len(words) > _MOST_WORDS:
        return [(" ".join(words), units[0][0], units[-1][1])]
    taken = align(words, units, height)
    if taken is None:
        return _by_share(words, units, height)
    usual = _usual_space(units, height)
    pieces = [(words[0], units[taken[0][0]][0], units[taken[0][1]][1])]
    for word, (before, after) in zip(words[1:], pairwise(taken), strict=True):
        left, right = units[after[0]][0], units[after[1]][1]
        gap = left - units[before[1]][1]
        beside_an_icon = len(pieces) == 1 and is_sign(pieces[0][0])
        if after[0] > before[1] + 1 or _is_wide(gap, usual, height, beside_an_icon=beside_an_icon):
            pieces.append((word, left, right))
        else:
            pieces[-1] = (f"{pieces[-1][0]} {word}", pieces[-1][1], right)
    return pieces


def _by_share(words: list[str], units: list[Span], height: int) -> list[tuple[str, int, int]]:
    """Cut at wide gaps where words ran together, each word going where most of its letters fall."""
    usual = _usual_space(units, height)
    inked = np.cumsum([end - start for start, end in units])
    lengths = np.cumsum([len(word) for word in words])
    cuts = [(0, 0)]
    for place in range(1, len(units)):
        gap = units[place][0] - units[place - 1][1]
        word = int(np.argmin(np.abs(lengths / lengths[-1] - inked[place - 1] / inked[-1]))) + 1
        if _is_wide(gap, usual, height, beside_an_icon=False) and cuts[-1][0] < word < len(words):
            cuts.append((word, place))
    cuts.append((len(words), len(units)))
    return [
        (" ".join(words[first[0] : last[0]]), units[first[1]][0], units[last[1] - 1][1])
        for first, last in pairwise(cuts)
    ]


def _usual_space(units: list[Span], height: int) -> float:
    gaps = [after[0] - before[1] for before, after in pairwise(units)]
    return float(np.median(gaps)) if len(gaps) > 1 else float(height)


def _is_wide(gap: int, usual: float, height: int, *, beside_an_icon: bool) -> bool:
    likely = gap >= _LIKELY_GAP * height and (beside_an_icon or gap > _MORE_THAN_A_SPACE * usual)
    return likely or gap >= _SURE_GAP * height


def _join(pieces: list[Label]) -> list[Label]:
    """Join neighbours in a row that are no farther apart than words; `pieces` run from left to right."""
    joined: list[Label] = []
    for piece in pieces:
        place = next((i for i in range(len(joined) - 1, -1, -1) if _belong_together(joined[i], piece)), None)
        if place is None:
            joined.append(piece)
        else:
            joined[place] = _one(joined[place], piece)
    return joined


def _belong_together(left: Label, right: Label) -> bool:
    height = max(left.box.height, right.box.height)
    gap = right.box.left - left.box.right
    shared = min(left.box.bottom, right.box.bottom) - max(left.box.top, right.box.top)
    alike = min(left.box.height, right.box.height) >= 0.6 * height
    icons = is_sign(left.text) or is_sign(right.text)
    return -2 <= gap < _JOINED_GAP * height and shared >= 0.6 * height and alike and not icons


def _one(left: Label, right: Label) -> Label:
    top = min(left.box.top, right.box.top)
    bottom = max(left.box.bottom, right.box.bottom)
    box = Box(left.box.left, top, right.box.right - left.box.left, bottom - top)
    return Label(f"{left.text} {right.text}", box, min(left.score, right.score))
