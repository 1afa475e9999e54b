"""Whether two texts are the same to a reader."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from rapidfuzz import fuzz

# Shorter texts differ by a letter too often: File and Files, Open and Oven.
_SHORTEST_FUZZY: Final = 10
_LEAST_RATIO: Final = 0.93
_NUMBER_MARKS: Final = re.compile(r"(?<=\d)[.,:/\-](?=\d)")
# Letters that engines take for one another.
_LOOKALIKES: Final = str.maketrans({"i": "l", "|": "l", "\u0131": "l"})


@lru_cache(maxsize=50_000)
def text_key(text: str) -> str:
    """Return what is compared of a text: letters with their accents, digits, and the marks inside numbers."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    marked = _NUMBER_MARKS.sub(lambda found: "\0" if found[0] in ".," else "\1", folded)
    kept = (char for char in marked if char.isalnum() or char in "\0\1|%")
    return "".join(kept).translate(_LOOKALIKES)


def digits_of(text: str) -> str:
    """Return a text's digits."""
    return "".join(char for char in text if char.isdigit())


def is_same_text(one: str, other: str) -> bool:
    """Return whether two texts are the same: digits equal, short ones exact, longer ones nearly."""
    return are_same_keys(text_key(one), text_key(other))


def are_same_keys(one: str, other: str) -> bool:
    """Return the same for keys."""
    if one == other:
        return bool(one)
    if min(len(one), len(other)) < _SHORTEST_FUZZY or digits_of(one) != digits_of(other):
        return False
    return fuzz.ratio(one, other) >= 100 * _LEAST_RATIO


def is_telling(text: str) -> bool:
    """Return whether a text is more than a sign that an icon may have been taken for."""
    key = text_key(text)
    return len(key) >= 2 or (key.isdigit() and key != "0")
