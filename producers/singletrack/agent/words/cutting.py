"""An engine's lines, cut where two labels were read as one, and joined where one was read as two."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box
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
    spans = _merged(spans_of(np.asarray(ink.any(axis=0))), 0.2 * height)
    groups = _assigned(words, spans, height)
    labels = []
    for text, left, right in groups:
        tight = tightened(box, ink, left, right)
        if tight is not None:
            labels.append(Label(text, tight, line.score))
    return labels


def _inside(box: Box, pixels: Pixels) -> Box:
    left, top = max(box.left, 0), max(box.top, 0)
    right, bottom = min(box.right, pixels.shape[1]), min(box.bottom, pixels.shape[0])
    return Box(left, top, max(right - left, 0), max(bottom - top, 0))


def _merged(spans: list[tuple[int, int]], least_gap: float) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start - merged[-1][1] < least_gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def _assigned(words: list[str], spans: list[tuple[int, int]], height: int) -> list[tuple[str, int, int]]:
    """Return the text and the columns of each label: the spans between wide gaps, and the words that fall there."""
    if not spans:
        return []
    ends = _word_ends(words)
    inked = np.cumsum([end - start for start, end in spans])
    cuts: list[tuple[int, int]] = []
    for place in _wide_gaps(spans, height, words):
        share = inked[place - 1] / inked[-1]
        word = int(np.argmin(np.abs(ends - share))) + 1
        if word < len(words) and word > (cuts[-1][0] if cuts else 0):
            cuts.append((word, place))
    firsts = [(0, 0), *cuts]
    lasts = [*cuts, (len(words), len(spans))]
    return [
        (" ".join(words[first[0] : last[0]]), spans[first[1]][0], spans[last[1] - 1][1])
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _word_ends(words: list[str]) -> NDArray[np.float64]:
    lengths = np.cumsum([len(word) for word in words])
    return np.asarray(lengths / lengths[-1], dtype=np.float64)


def _wide_gaps(spans: list[tuple[int, int]], height: int, words: list[str]) -> list[int]:
    """Return before which spans a new label begins."""
    gaps = [after[0] - before[1] for before, after in pairwise(spans)]
    spaces = [gap for gap in gaps if gap >= _LEAST_SPACE * height]
    usual = float(np.median(spaces)) if len(spaces) > 1 else 0.0
    wide = []
    for place, gap in enumerate(gaps, start=1):
        beside_an_icon = place == 1 and is_sign(words[0])
        stands_out = 0 < _MORE_THAN_A_SPACE * usual < gap
        if gap >= _SURE_GAP * height or (gap >= _LIKELY_GAP * height and (beside_an_icon or stands_out)):
            wide.append(place)
    return wide


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
