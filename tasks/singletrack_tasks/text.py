"""Texts that somebody else wrote, made fit to be told."""


def writable(text: str) -> str:
    """Give a text that can be written as UTF-8: half a character, which a caller may send, becomes '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")


def cut_line(text: str, most: int) -> str:
    """Give at most so many characters of a text, in one line and writable."""
    return writable(" ".join(text.split())[:most])
