"""The token under which this process holds its track."""

_token = 0


def current_token() -> int:
    """Return the fencing token that this process holds, 0 while it holds none."""
    return _token


def set_token(token: int) -> None:
    """Note the token; the worker's lease does so."""
    global _token  # noqa: PLW0603 - one process, one track, one token
    _token = token
