"""From single events of mouse and keyboard to what a person did: double clicks, texts, key combinations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from singletrack.agent.screen.person import PersonAct, PersonClicked, PersonPressed, PersonTyped
from singletrack.agent.targets.geometry import Point

_DOUBLE_WITHIN_S: Final = 0.5
_DOUBLE_WITHIN: Final = 6
UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"
# A key that is held, and the name under which it goes into a combination.
_COMBINING: Final = {
    "ctrl": "ctrl",
    "ctrl_l": "ctrl",
    "ctrl_r": "ctrl",
    "alt": "alt",
    "alt_l": "alt",
    "cmd": "cmd",
    "cmd_l": "cmd",
    "cmd_r": "cmd",
}
_SHIFTS: Final = frozenset({"shift", "shift_l", "shift_r"})
# They change what other keys mean, and are none by themselves.
_SILENT: Final = _SHIFTS | {"alt_gr", "alt_r", "caps_lock", "num_lock", "scroll_lock"}


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key that went down or up: its name if it has one, else the character that it stands for; `at` is in seconds.

    `is_hidden` says that the character is secret: then it is not here.
    """

    at: float
    is_press: bool
    name: str = ""
    character: str = ""
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class ClickEvent:
    """A mouse button that went down."""

    at: float
    click: PersonClicked


class ActionComposer:
    """Takes events in their order and gives acts.

    `is_secret` is asked about the click that a text follows; what it says yes to is not kept.
    """

    def __init__(self, is_secret: Callable[[PersonClicked], bool]) -> None:
        self._is_secret = is_secret
        self._click: ClickEvent | None = None
        self._field: PersonClicked | None = None
        self._text, self._has_hidden = "", False
        self._held: set[str] = set()

    def clicked(self, event: ClickEvent) -> Iterator[PersonAct]:
        """Take a click; one that follows another closely is a part of it."""
        if self._click is not None and not self._text and not self._has_hidden and _is_double(self._click, event):
            self._click = replace(event, click=replace(self._click.click, count=self._click.click.count + 1))
            return
        yield from self.flush()
        self._click = event
        self._field = event.click

    def key(self, event: KeyEvent) -> Iterator[PersonAct]:
        """Take a key."""
        if event.name in _COMBINING or event.name in _SHIFTS:
            (self._held.add if event.is_press else self._held.discard)(event.name)
        if not event.is_press or event.name in _COMBINING or event.name in _SILENT:
            return
        combined = sorted({_COMBINING[name] for name in self._held if name in _COMBINING})
        if event.is_hidden:
            yield from self._flush_click()
            self._has_hidden = True
        elif event.character and not combined:
            yield from self._flush_click()
            self._text += event.character
        elif event.name == "backspace" and self._text and not combined:
            self._text = self._text[:-1]
        else:
            yield from self.flush()
            shift = ["shift"] if event.name and self._held & _SHIFTS else []
            yield PersonPressed((*combined, *shift, event.name or event.character.lower()))

    def waits_no_longer(self, now: float) -> Iterator[PersonAct]:
        """Give a click to which no second one can come any more."""
        if self._click is not None and now - self._click.at > _DOUBLE_WITHIN_S:
            yield from self._flush_click()

    def flush(self) -> Iterator[PersonAct]:
        """Give everything that was taken."""
        yield from self._flush_click()
        text, hidden = self._text, self._has_hidden
        self._text, self._has_hidden = "", False
        if hidden or (text and self._field is not None and self._is_secret(self._field)):
            yield PersonTyped("", is_secret=True)
        elif text:
            yield PersonTyped(text)

    def _flush_click(self) -> Iterator[PersonAct]:
        click, self._click = self._click, None
        if click is not None:
            yield click.click


def _is_double(first: ClickEvent, second: ClickEvent) -> bool:
    return (
        second.at - first.at <= _DOUBLE_WITHIN_S
        and second.click.button is first.click.button
        and _distance(first.click.point, second.click.point) <= _DOUBLE_WITHIN
    )


def _distance(one: Point, other: Point) -> int:
    return max(abs(one.x - other.x), abs(one.y - other.y))
