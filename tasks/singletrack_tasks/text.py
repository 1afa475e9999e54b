"""Makes text from outside fit to be stored and shown."""

from reprlib import Repr

_QUOTED_CHARS = 100
_QUOTE = Repr()
_QUOTE.maxstring = _QUOTE.maxother = _QUOTE.maxlong = _QUOTED_CHARS


def writable(text: str) -> str:
    """Return a text that can be encoded as UTF-8: a lone surrogate, which a caller may send, becomes '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")


def cut_line(text: str, most: int) -> str:
    """Return at most `most` characters of a text, on one line and encodable as UTF-8."""
    return writable(" ".join(text.split())[:most])


def shorten(text: str, most: int = 160) -> str:
    """Return a text for a message, encodable as UTF-8: of one longer than `most` characters, the two ends."""
    text = writable(text)
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def quoted(value: object) -> str:
    """Return a value as an error may quote it: its `repr`, of which the middle is left out if it is long."""
    return cut_line(_QUOTE.repr(value), 2 * _QUOTED_CHARS)
