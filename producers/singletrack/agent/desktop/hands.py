"""The real mouse and keyboard."""

import time
from types import TracebackType
from typing import Any, Final, Self

from singletrack.agent.desktop.extra import desktop_extra
from singletrack.agent.desktop.keys import ESCAPE, checked_names
from singletrack.agent.desktop.own_input import OwnInput
from singletrack.agent.desktop.system import DesktopSystem, this_system
from singletrack.agent.desktop.typable import check_typable
from singletrack.agent.errors import InputRefused
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.targets.geometry import Point

# Applications light up what is under the pointer: a click comes after they have noticed that it is there.
_SETTLE_S: Final = 0.05
# Clicks that come faster than a person's are lost by some window managers.
_BETWEEN_CLICKS_S: Final = 0.05
_ARRIVES_WITHIN_S: Final = 2.0
_POLL_S: Final = 0.01


class RealHands:
    """Moves the mouse, clicks, types; refuses what could arrive elsewhere or as something else.

    `pixels_per_unit` is the display's (1.0, but more on macOS). What is done here is noted in `own_input`, so that
    `HumanStop` does not take it for a person's doing. Raises `MissingExtra` or `NoDesktop`.
    """

    def __init__(
        self,
        own_input: OwnInput | None = None,
        *,
        pixels_per_unit: float = 1.0,
        system: DesktopSystem | None = None,
        mouse: Any = None,
    ) -> None:
        self.own_input = own_input or OwnInput()
        self._pixels_per_unit = pixels_per_unit
        self._own_system = system is None
        self._system = this_system() if system is None else system
        self._mouse = mouse or _mouse()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of mouse and keyboard, and leave the keyboard as it was."""
        # pynput's closes its connection when nobody has it any more.
        self._mouse = None
        if self._own_system:
            self._system.close()

    def click(self, point: Point, button: MouseButton = MouseButton.LEFT, count: int = 1) -> None:
        """Move to a pixel of the desktop, let the pointer settle, and click; raises `InputRefused` before it does."""
        with desktop_extra():
            from pynput.mouse import Button
        self._move(point)
        for _ in range(count):
            self._mouse.click(Button[button.value], 1)
            self._system.wait_for_click()
            time.sleep(_BETWEEN_CLICKS_S)

    def type_text(self, text: str) -> None:
        """Type a text into whatever has the focus; raises `InputRefused` before the first character."""
        check_typable(text)
        self._system.check_keyboard()
        self._system.type_text(text)

    def press(self, *keys: str) -> None:
        """Press keys together; raises `InputRefused` before the first."""
        names = checked_names(keys)
        self._system.check_keyboard()
        if ESCAPE in names:
            self.own_input.pressed_escape()
        self._system.press(*names)

    def scroll(self, point: Point, notches: int) -> None:
        """Turn the wheel over a pixel of the desktop; downwards if `notches` is negative."""
        self._move(point)
        self._mouse.scroll(0, notches)

    def _move(self, point: Point) -> None:
        place = Point(round(point.x / self._pixels_per_unit), round(point.y / self._pixels_per_unit))
        self.own_input.moved(place)
        self._mouse.position = (place.x, place.y)
        self._wait_for(place)
        time.sleep(_SETTLE_S)
        if self._place() != place:
            raise InputRefused(f"The pointer was moved away from {_said(place)} right before the click. Not clicked.")

    def _wait_for(self, place: Point) -> None:
        deadline = time.monotonic() + _ARRIVES_WITHIN_S
        while (there := self._place()) != place:
            if time.monotonic() > deadline:
                raise InputRefused(
                    f"The pointer is at {_said(there)} and does not go to {_said(place)}: outside the screen, or a "
                    "person holds the mouse. Not clicked."
                )
            time.sleep(_POLL_S)
            self._mouse.position = (place.x, place.y)

    def _place(self) -> Point:
        x, y = self._mouse.position
        return Point(round(x), round(y))


def _mouse() -> Any:
    with desktop_extra():
        from pynput.mouse import Controller
    return Controller()


def _said(place: Point) -> str:
    return f"{place.x}, {place.y}"
