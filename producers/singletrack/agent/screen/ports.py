"""What an agent needs of a desktop; a scripted one and the real one are its implementations."""

from enum import StrEnum
from typing import Protocol

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Point


class MouseButton(StrEnum):
    """A button of the mouse."""

    LEFT = "left"
    MIDDLE = "middle"
    RIGHT = "right"


class Display(Protocol):
    """Something that can be looked at."""

    def grab(self) -> Screenshot:
        """Take a screenshot; raises `ScreenLocked` or `InvalidScreenshot`."""


class Hands(Protocol):
    """Mouse and keyboard; points are of the desktop, in physical pixels."""

    def click(self, point: Point, button: MouseButton = MouseButton.LEFT, count: int = 1) -> None:
        """Click `count` times."""

    def type_text(self, text: str) -> None:
        """Type a text into whatever has the focus."""

    def press(self, *keys: str) -> None:
        """Press keys together, for example `press("ctrl", "a")`; names are those of `pynput.keyboard.Key`."""

    def scroll(self, point: Point, notches: int) -> None:
        """Turn the wheel over a point; downwards if `notches` is negative."""


class StopSignal(Protocol):
    """How a person at the desk stops the agent."""

    def is_set(self) -> bool:
        """Whether the agent has to stop at once."""
