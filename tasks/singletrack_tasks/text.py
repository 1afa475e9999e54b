"""Makes text from outside fit to be stored and shown."""


def writable(text: str) -> str:
    """Return a text that can be encoded as UTF-8: a lone surrogate, which a caller may send, becomes '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")


def cut_line(text: str, most: int) -> str:
    """Return at most `most` characters of a text, on one line and encodable as UTF-8."""
    return writable(" ".join(text.split())[:most])
