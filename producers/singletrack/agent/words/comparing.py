"""Whether two texts are the same to a reader."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from rapidfuzz.distance import Levenshtein

# Shorter texts differ by a letter too often: File and Files, Open and Oven.
_SHORTEST_FUZZY: Final = 10
_LETTERS_PER_MISREADING: Final = 10
# Before a number, and of a pair of buttons: Zoom +, Zoom -.
_MINUS: Final = re.compile(r"(?<![\w.,%)\]])[-\u2212](?=\d)|(?<=\w\s)[-\u2212]$")
_NUMBER_MARKS: Final = re.compile(r"(?<=\d)[.,:/\-](?=\d)")
# Letters that engines take for one another.
_LOOKALIKES: Final = str.maketrans({"i": "l", "|": "l", "\u0131": "l"})
# What a letter is misread as, inside of a longer text; any other letter makes another word: on and in, allow and allot.
_MISREAD: Final = ("ceo", "uv", "nhr", "ltfj", "gqy", "ao", "vy", "sz")


@lru_cache(maxsize=50_000)
def text_key(text: str) -> str:
    """Return what is compared of a text: letters with their accents, digits, and the marks inside numbers."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    signed = _MINUS.sub("\2", folded)
    marked = _NUMBER_MARKS.sub(lambda found: "\0" if found[0] in ".," else "\1", signed)
    kept = (char for char in marked if char.isalnum() or char in "\0\1\2|%")
    return "".join(kept).translate(_LOOKALIKES)


def digits_of(text: str) -> str:
    """Return a text's digits."""
    return "".join(char for char in text if char.isdigit())


def is_same_text(one: str, other: str) -> bool:
    """Return whether two texts are the same: digits equal, short ones exact, longer ones but for misread letters."""
    return are_same_keys(text_key(one), text_key(other))


def are_same_keys(one: str, other: str) -> bool:
    """Return the same for keys."""
    if one == other:
        return bool(one)
    shorter = min(len(one), len(other))
    if shorter < _SHORTEST_FUZZY or digits_of(one) != digits_of(other):
        return False
    most = shorter // _LETTERS_PER_MISREADING
    if Levenshtein.distance(one, other, score_cutoff=most) > most:
        return False
    return all(_is_misreading(one, other, *edit) for edit in Levenshtein.editops(one, other))


def _is_misreading(one: str, other: str, kind: str, place: int, there: int) -> bool:
    """Return whether an edit is an engine's error: a letter for one like it, or one of a pair (or an l) left out."""
    if kind == "replace":
        return _look_alike(one[place], other[there])
    longer, at = (one, place) if kind == "delete" else (other, there)
    return 0 < at < len(longer) - 1 and longer[at] in {"l", longer[at - 1], longer[at + 1]}


def _look_alike(one: str, other: str) -> bool:
    bare, other_bare = (unicodedata.normalize("NFD", letter)[0] for letter in (one, other))
    return bare == other_bare or any(bare in group and other_bare in group for group in _MISREAD)


def is_telling(text: str) -> bool:
    """Return whether a text is more than a sign that an icon may have been taken for."""
    key = text_key(text)
    return len(key) >= 2 or (key.isdigit() and key != "0")
