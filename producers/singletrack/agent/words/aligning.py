"""Which part of a line's ink is which of its words."""

from collections.abc import Sequence
from functools import cache
from typing import Final

Span = tuple[int, int]

# Widths in heights of the ink. A letter is about half as wide as type is high.
_WIDEST_LETTER: Final = 0.75
_WIDEST_ICON: Final = 1.9
# What leaving out an icon costs, in heights: less than taking it for a short word.
_ICON_COST: Final = 0.45


def align(words: Sequence[str], units: Sequence[Span], height: int) -> list[Span] | None:
    """Return the first and last unit of each word; units that no word takes are icons.

    `units` are runs of ink with gaps between them. None where there are fewer units than words.
    """
    if len(units) < len(words) or not words:
        return None
    ink = sum(end - start for start, end in units)
    letter = min(ink / sum(len(word) for word in words), _WIDEST_LETTER * height)

    @cache
    def best(word: int, unit: int) -> tuple[float, tuple[Span, ...]]:
        """Return the least cost of the words from one on, on the units from one on."""
        if word == len(words):
            return sum(_skipped(one, height) for one in units[unit:]), ()
        options = []
        if len(units) - unit > len(words) - word:
            cost, taken = best(word, unit + 1)
            options.append((cost + _skipped(units[unit], height), taken))
        for last in range(unit, len(units) - (len(words) - word) + 1):
            width = units[last][1] - units[unit][0]
            mismatch = abs(width - letter * len(words[word])) / height
            cost, taken = best(word + 1, last + 1)
            options.append((cost + mismatch, ((unit, last), *taken)))
            if width > 2 * letter * len(words[word]) + height:
                break
        return min(options)

    return list(best(0, 0)[1])


def _skipped(unit: Span, height: int) -> float:
    width = (unit[1] - unit[0]) / height
    return _ICON_COST if width <= _WIDEST_ICON else 1 + width
