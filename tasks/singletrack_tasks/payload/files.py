"""Reads files that somebody names: nothing that blocks, and nothing without an end."""

import errno
import os
import stat
from pathlib import Path

# A pipe without a writer is opened at once, and then refused. Windows has no such pipes.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class FileTooLarge(OSError):
    """A file with more bytes than are accepted."""


def read_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file of at most `most_bytes`; raises `FileTooLarge`, or `OSError` for whatever else is wrong."""
    try:
        # Before it is opened: opening a device may do something.
        _check_regular(path.stat())
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"this is not the name of a file ({error})") from error
    with os.fdopen(descriptor, "rb") as stream:
        _check_regular(os.fstat(descriptor))
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise FileTooLarge(errno.EFBIG, f"it has more than {most_bytes} bytes")
    return data


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a regular file")
