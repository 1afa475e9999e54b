"""Time, so that tests can own it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests can own it."""

    def time(self) -> float:
        """Return Unix time in seconds, by the clock that all machines share."""

    def monotonic(self) -> float:
        """Return seconds since some moment; never goes back."""

    def sleep(self, duration_s: float) -> None:
        """Wait."""


class SystemClock:
    """This machine's clock, set to the one that all machines share.

    Between two settings it runs with the monotonic clock: somebody who sets this machine's wall clock changes
    neither deadlines nor the age of a status.
    """

    def __init__(self) -> None:
        self._zero_unix_s = 0.0
        self.set(time.time())

    def set(self, unix_s: float) -> None:
        """Say what Unix time it is now, in seconds."""
        self._zero_unix_s = unix_s - time.monotonic()

    def time(self) -> float:
        """Return Unix time in seconds."""
        return self._zero_unix_s + time.monotonic()

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Wait."""
        time.sleep(duration_s)
