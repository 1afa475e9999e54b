"""Time, so that tests can own it."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

# The shared clock was set, and is not just read with some delay, if it is off by so much.
STEP_S = 1.0
STEPS_KEPT = 100
# A step is noticed before the next status, which is due every second.
NOTICED_WITHIN_S = 2.0


@dataclass(frozen=True)
class Step:
    """That the shared clock was set by so many seconds, and what it showed when this was noticed."""

    at_unix_s: float
    by_s: float


@dataclass(frozen=True)
class TimeReading:
    """What the shared clock showed at some moment between two of the monotonic clock."""

    unix_s: float
    asked_s: float
    told_s: float


class Clock(Protocol):
    """Time, so that tests can own it."""

    def time(self) -> float:
        """Return Unix time in seconds, by the clock that all machines share."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never decreases."""

    def sleep(self, duration_s: float) -> None:
        """Wait for a duration in seconds."""

    def unix(self, at_s: float) -> float:
        """Return the Unix time of a moment of the monotonic clock, by the shared clock as it is set now."""

    def set_forward_since(self, unix_s: float) -> float:
        """Return by how many seconds the shared clock was set forward since it showed `unix_s`."""

    def showed_twice(self, unix_s: float) -> bool:
        """Return whether the shared clock may have shown `unix_s` twice, since it was set back."""

    def refresh(self) -> bool:
        """Read the shared clock again; False if it cannot be read."""


class SystemClock:
    """This machine's clock, set to the one that all machines share.

    Between two settings it runs with the monotonic clock: changing this machine's wall clock affects neither
    deadlines nor the age of a status.
    """

    def __init__(self, read: Callable[[], TimeReading | None] = lambda: None) -> None:
        """Use `read` to read the shared clock; it returns None if it cannot."""
        self._read = read
        self._zero_unix_s = time.time() - time.monotonic()
        self._is_shared = False
        # Held from reading until it is set: an older reading never overwrites a newer one.
        self._in_order = threading.Lock()
        self._steps: tuple[Step, ...] = ()

    def refresh(self) -> bool:
        """Read the shared clock again; False if it cannot be read."""
        with self._in_order:
            reading = self._read()
            if reading is None:
                return False
            self._set(reading)
            return True

    def _set(self, reading: TimeReading) -> None:
        """Set it if it is provably wrong, and remember that the shared clock was set, if that is why."""
        zero_unix_s = min(max(self._zero_unix_s, reading.unix_s - reading.told_s), reading.unix_s - reading.asked_s)
        by_s, self._zero_unix_s = zero_unix_s - self._zero_unix_s, zero_unix_s
        if self._is_shared and abs(by_s) >= STEP_S:
            self._steps = (*self._steps[1 - STEPS_KEPT :], Step(self.time(), by_s))
        self._is_shared = True

    def time(self) -> float:
        """Return Unix time in seconds."""
        return self.unix(time.monotonic())

    def monotonic(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Wait for a duration in seconds."""
        time.sleep(duration_s)

    def unix(self, at_s: float) -> float:
        """Return the Unix time of a moment of the monotonic clock."""
        return self._zero_unix_s + at_s

    def set_forward_since(self, unix_s: float) -> float:
        """Return by how many seconds the shared clock was set forward since it showed `unix_s`."""
        return sum_forward(self._steps, unix_s)

    def showed_twice(self, unix_s: float) -> bool:
        """Return whether the shared clock may have shown `unix_s` twice, since it was set back."""
        return shown_twice(self._steps, unix_s)


def sum_forward(steps: Sequence[Step], unix_s: float) -> float:
    """Add up the steps forward after the moment at which the clock showed `unix_s`.

    A step back cannot be told from time that passes: a clock that was set back shows the same times again.
    """
    moved_unix_s = unix_s
    for step in steps:
        if step.by_s > 0 and moved_unix_s < step.at_unix_s:
            moved_unix_s += step.by_s
    return moved_unix_s - unix_s


def shown_twice(steps: Sequence[Step], unix_s: float) -> bool:
    """Return whether a clock with these steps may have shown `unix_s` twice."""
    return any(
        step.by_s < 0 and step.at_unix_s - NOTICED_WITHIN_S <= unix_s <= step.at_unix_s - step.by_s + NOTICED_WITHIN_S
        for step in steps
    )


def deadline_s(clock: Clock, sent_unix_s: float | None, deadline_unix_s: float) -> float:
    """Return the moment of the monotonic clock at which a job's deadline passes.

    If the shared clock was set forward since the job was sent, the deadline moves with it; whatever was done to that
    clock, no more time is left than the caller allowed. It is read again before it makes a job late.
    """
    left_s = _left_s(clock, sent_unix_s, deadline_unix_s)
    if left_s <= 0 and clock.refresh():
        left_s = _left_s(clock, sent_unix_s, deadline_unix_s)
    return clock.monotonic() + left_s


def _left_s(clock: Clock, sent_unix_s: float | None, deadline_unix_s: float) -> float:
    if sent_unix_s is None:
        return deadline_unix_s - clock.time()
    left_s = deadline_unix_s + clock.set_forward_since(sent_unix_s) - clock.time()
    return min(left_s, deadline_unix_s - sent_unix_s)
