"""Keeps what a question holds, and what was answered, out of the words of errors: logs and Flower show those."""

import re

# What is shorter is a coincidence rather than a quotation.
_QUOTED_CHARS = 12
_HIDDEN = "[...]"
# A long word of base64 is a part of an image; one that is hexadecimal throughout is a digest.
_BASE64 = re.compile(r"(?![0-9a-f]+\b)[A-Za-z0-9+/]{40,}=*")


class Secrets:
    """The texts of one question, and its answer as far as it has come: no error may quote them."""

    def __init__(self, *asked: str) -> None:
        self._asked = asked
        self._answered: list[str] = []

    def add(self, piece: str) -> None:
        """Add a piece of the answer."""
        self._answered.append(piece)

    def out_of(self, words: str) -> str:
        """Return a short text without the stretches that it has in common with the secrets, and without images."""
        words = _flat(_BASE64.sub(_HIDDEN, words))
        lower = words.lower()
        if len(lower) != len(words):
            words = lower  # some letters become two
        secret = _flat("\n".join((*self._asked, "".join(self._answered)))).lower()
        hidden = bytearray(len(words))
        for at in range(len(words) - _QUOTED_CHARS + 1):
            if lower[at : at + _QUOTED_CHARS] in secret:
                hidden[at : at + _QUOTED_CHARS] = b"\1" * _QUOTED_CHARS
        shown = "".join("\0" if hide else char for char, hide in zip(words, hidden, strict=True))
        return re.sub("\0+", _HIDDEN, shown)


def _flat(text: str) -> str:
    """Return a text on one line, without the escapes of JSON."""
    return " ".join(text.replace("\\n", " ").replace('\\"', '"').split())
