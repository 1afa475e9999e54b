"""A person's stop: Esc, or the pointer thrown into a corner."""

import sys
from threading import Event
from types import TracebackType
from typing import Any, Final, Self

from singletrack.agent.desktop.listening import InputListeners
from singletrack.agent.desktop.own_input import OwnInput
from singletrack.agent.targets.geometry import Box, Point

_CORNER: Final = 3


class HumanStop:
    """Is set for good once a person presses Esc anywhere or throws the pointer into a corner of a monitor.

    What the agent itself does (`own_input`, from `RealHands`) sets nothing. It is set too if it can no longer see what
    a person does. Raises `MissingExtra` or `NoDesktop`.
    """

    def __init__(self, own_input: OwnInput, monitors: tuple[Box, ...]) -> None:
        self._own_input = own_input
        self._monitors = monitors
        self._stopped = Event()
        self._listeners = InputListeners(on_press=self._on_press, on_move=self._on_move)

    def __enter__(self) -> Self:
        self._listeners.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listeners.__exit__(kind, error, trace)

    def is_set(self) -> bool:
        """Return at once whether the agent has to stop."""
        return self._stopped.is_set() or not self._listeners.hear

    def _on_press(self, key: Any, injected: bool = False) -> None:
        # On X11 pynput tells of its own keys a second time, as injected; whoever else injects one acts for a person.
        if getattr(key, "name", "") != "esc" or (injected and sys.platform == "linux"):
            return
        if not self._own_input.is_own_escape():
            self._stopped.set()

    def _on_move(self, x: float, y: float, injected: bool = False) -> None:
        place = Point(round(x), round(y))
        if self._is_in_corner(place) and not self._own_input.is_own_place(place):
            self._stopped.set()

    def _is_in_corner(self, place: Point) -> bool:
        return any(
            min(place.x - one.left, one.right - 1 - place.x) < _CORNER
            and min(place.y - one.top, one.bottom - 1 - place.y) < _CORNER
            for one in self._monitors
            if one.contains(place)
        )
