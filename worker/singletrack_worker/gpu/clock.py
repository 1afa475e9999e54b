"""Time, so that tests can own it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests can own it."""

    def time(self) -> float:
        """Return Unix time in seconds, by the clock that all machines share."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never decreases."""

    def sleep(self, duration_s: float) -> None:
        """Wait for a duration in seconds."""


class SystemClock:
    """This machine's clock, set to the one that all machines share.

    Between two settings it runs with the monotonic clock: changing this machine's wall clock affects neither
    deadlines nor the age of a status.
    """

    def __init__(self) -> None:
        self._zero_unix_s = 0.0
        self.set(time.time())

    def set(self, unix_s: float) -> None:
        """Set the current Unix time, in seconds."""
        self._zero_unix_s = unix_s - time.monotonic()

    def time(self) -> float:
        """Return Unix time in seconds."""
        return self._zero_unix_s + time.monotonic()

    def monotonic(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Wait for a duration in seconds."""
        time.sleep(duration_s)
