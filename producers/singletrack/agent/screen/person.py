"""What a person does at a desk, for recordings."""

from dataclasses import dataclass

from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Point


@dataclass(frozen=True, slots=True)
class PersonClicked:
    """A click at a point of the desktop; `before` is the screen as it was right before."""

    before: Screenshot
    point: Point
    button: MouseButton = MouseButton.LEFT
    count: int = 1


@dataclass(frozen=True, slots=True)
class PersonTyped:
    """A text that was typed after the last click; `is_secret` leaves it empty."""

    text: str
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class PersonPressed:
    """Keys that were pressed together and type nothing; named as for `Hands.press`."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonScrolled:
    """The wheel was turned over a point of the desktop; `before` as for a click."""

    before: Screenshot
    point: Point
    notches: int


PersonAct = PersonClicked | PersonTyped | PersonPressed | PersonScrolled
