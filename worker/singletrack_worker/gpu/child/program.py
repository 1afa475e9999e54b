"""Runs in a child: what the programs of all children have in common."""

import os
import signal
import sys
from typing import BinaryIO


def ignore_signals() -> None:
    """Leave it to the worker when its children end: Ctrl-C and service managers signal the whole group.

    The worker may be finishing a task with them.
    """
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for frames: what libraries print goes to stderr, and they find nothing to read."""
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stdin, stdout
