"""What the agent itself did with mouse and keyboard, so that it is not taken for a person's doing."""

import time
from collections import deque
from threading import Lock
from typing import Final

from singletrack.agent.targets.geometry import Point

# After this long an event that has not come is not expected any more: a person's Esc is worth more than ours.
_EXPECTED_FOR_S: Final = 2.0


class OwnInput:
    """Keeps the pointer's last place and the Esc keys that the agent sent; for use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._escapes: deque[float] = deque()
        self._place: Point | None = None

    def moved(self, place: Point) -> None:
        """Note that the agent moves the pointer to a place, before it does."""
        with self._lock:
            self._place = place

    def pressed_escape(self) -> None:
        """Note that the agent presses Esc, before it does."""
        with self._lock:
            self._escapes.append(time.monotonic())

    def is_own_place(self, place: Point) -> bool:
        """Return whether the pointer is where the agent put it last."""
        with self._lock:
            return place == self._place

    def is_own_escape(self) -> bool:
        """Return whether an Esc that was just seen is the agent's, once for each that it sent."""
        with self._lock:
            while self._escapes and time.monotonic() - self._escapes[0] > _EXPECTED_FOR_S:
                self._escapes.popleft()
            if not self._escapes:
                return False
            self._escapes.popleft()
            return True
