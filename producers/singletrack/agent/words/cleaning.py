"""Readings without the signs that an engine takes icons for."""

import re
from typing import Final

# Signs that are no part of a label in the alphabets that the engine reads here.
_SIGNS: Final = (
    "\u2190-\u2bff"  # arrows, mathematics, boxes, shapes, dingbats
    "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"  # Chinese, Japanese, Korean
    "\u2460-\u24ff"  # circled
)
_SIGN: Final = re.compile(f"[{_SIGNS}]+")
_EDGE: Final = re.compile(r"^[^\w(\[{<$€£#+\-/.~@\"'&*%]+|[^\w)\]}>%.:!?…+\-/~*\"'&#€$£]+$")


def split_signs(text: str) -> list[str]:
    """Return the words of a reading; a run of signs is a word of its own."""
    return _SIGN.sub(lambda found: f" {found[0]} ", text).split()


def is_sign(word: str) -> bool:
    """Return whether a word is nothing but signs, or one letter: what icons are read as."""
    lone = len(word) == 1 and not word.isdigit()
    return lone or _SIGN.fullmatch(word) is not None or not any(char.isalnum() for char in word)


def clean(text: str) -> str:
    """Return a reading without signs, and without what is no part of a label at its ends."""
    return _EDGE.sub("", " ".join(_SIGN.sub(" ", text).split())).strip()
