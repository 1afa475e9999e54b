"""Reads single keys from the terminal, without Enter."""

import os
import re
import select
import sys
import time
from types import TracebackType
from typing import Self

from singletrack.cli.output import is_terminal

if sys.platform == "win32":
    import msvcrt

    _POLL_S = 0.05

    class Keyboard:
        """Reads keys while it is entered."""

        def __enter__(self) -> Self:
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None:
            return

        def wait(self, seconds: float) -> str:
            """Wait so long for keys; returns those that were pressed."""
            until_s = time.monotonic() + seconds
            while not msvcrt.kbhit() and time.monotonic() < until_s:
                time.sleep(_POLL_S)
            return msvcrt.getwch() if msvcrt.kbhit() else ""

else:
    import termios

    # Escape sequences, as arrow keys send them: their letters are not keys.
    _SEQUENCE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|O.)?")

    class Keyboard:
        """Reads keys while it is entered; the terminal is left as it was. Without a terminal nothing is read."""

        def __init__(self) -> None:
            self._there = is_terminal(sys.stdin)
            self._before: list[int | list[bytes | int]] = []

        def __enter__(self) -> Self:
            if self._there:
                self._before = termios.tcgetattr(sys.stdin)
                ours = termios.tcgetattr(sys.stdin)
                ours[3] &= ~(termios.ICANON | termios.ECHO)
                # A program that is stopped leaves its full screen to the shell.
                ours[6][termios.VSUSP] = b"\x00"
                termios.tcsetattr(sys.stdin, termios.TCSANOW, ours)
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> None:
            if self._there:
                # What was typed and not read is not the shell's.
                termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, self._before)

        def wait(self, seconds: float) -> str:
            """Wait so long for keys; returns those that were pressed. Raises `EOFError` if the terminal is gone."""
            if not self._there:
                time.sleep(seconds)
                return ""
            if not select.select([sys.stdin], [], [], seconds)[0]:
                return ""
            keys = os.read(sys.stdin.fileno(), 1024)
            if not keys:
                raise EOFError
            return _SEQUENCE.sub(b"", keys).decode("utf-8", "replace")
