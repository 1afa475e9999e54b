"""The token under which this process holds its track."""

_token = 0


def current_token() -> int:
    """Return this process's fencing token, 0 while it has none."""
    return _token


def set_token(token: int) -> None:
    """Set the token, 0 once the lease is lost or given back."""
    global _token  # noqa: PLW0603 - one process, one track, one token
    _token = token
