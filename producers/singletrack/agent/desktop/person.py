"""Watching a person work, for recordings."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from singletrack.agent.desktop.composing import UNKNOWN, ActionComposer, ClickEvent, KeyEvent
from singletrack.agent.desktop.display import RealDisplay
from singletrack.agent.desktop.frames import RecentFrames
from singletrack.agent.desktop.listening import InputListeners
from singletrack.agent.errors import AgentError
from singletrack.agent.screen.person import PersonAct, PersonClicked, PersonScrolled
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Point

HIDING_KEY: Final = "f9"
END_KEY: Final = "f10"
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _End:
    error: AgentError | None = None


_Event = ClickEvent | KeyEvent | PersonScrolled | _End


class PersonWatcher:
    """Tells what a person clicks and types while it is entered, each click with the screen as it was before.

    The recording ends with `end_key`, or when `close` is called. What is typed is not kept after `hiding_key`, until
    it is pressed again, nor where `is_secret` says so of the click before. The two keys reach the application too, so
    choose some that it does not use. Raises `MissingExtra` or `NoDesktop`.
    """

    def __init__(
        self,
        display: RealDisplay,
        *,
        is_secret: Callable[[PersonClicked], bool] = lambda click: False,
        hiding_key: str = HIDING_KEY,
        end_key: str = END_KEY,
    ) -> None:
        self._display = display
        self._frames = RecentFrames(display)
        self._composer = ActionComposer(is_secret)
        self._keys = {"secret": hiding_key, "end": end_key}
        self._is_hiding = False
        self._dead: Any = None
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        self._entered.enter_context(self._frames)
        self._entered.enter_context(
            InputListeners(
                on_press=self._on_press,
                on_release=self._on_release,
                on_click=self._on_click,
                on_scroll=self._on_scroll,
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._entered.close()

    def close(self) -> None:
        """End the recording."""
        self._events.put(_End())

    def grab(self) -> Screenshot:
        """Take a screenshot; raises what the display raises."""
        return self._display.grab()

    def acts(self) -> Iterator[PersonAct]:
        """Wait for what the person does, until the recording ends; raises what keeps the screen from being grabbed."""
        while True:
            try:
                event = self._events.get(timeout=_POLL_S)
            except Empty:
                yield from self._composer.waits_no_longer(time.monotonic())
                continue
            match event:
                case _End(error):
                    yield from self._composer.flush()
                    if error is not None:
                        raise error
                    return
                case ClickEvent():
                    yield from self._composer.clicked(event)
                case KeyEvent():
                    yield from self._composer.key(event)
                case PersonScrolled():
                    yield from self._composer.flush()
                    yield event

    def _on_click(self, x: float, y: float, button: Any, is_press: bool, injected: bool = False) -> None:
        now = time.monotonic()
        if is_press and button.name in set(MouseButton):
            kind = MouseButton(button.name)
            self._put(now, x, y, lambda before, point: ClickEvent(now, PersonClicked(before, point, kind)))

    def _on_scroll(self, x: float, y: float, _: int, notches: int, injected: bool = False) -> None:
        if notches:
            self._put(time.monotonic(), x, y, lambda before, point: PersonScrolled(before, point, notches))

    def _put(self, now: float, x: float, y: float, event: Callable[[Screenshot, Point], _Event]) -> None:
        """Put an event with the screen before it; one elsewhere than on the display is left out."""
        point = Point(round(x * self._display.pixels_per_unit), round(y * self._display.pixels_per_unit))
        try:
            before = self._frames.before(now)
        except AgentError as error:
            self._events.put(_End(error))
            return
        if before.box.contains(point.moved(-before.origin.x, -before.origin.y)):
            self._events.put(event(before, point))

    def _on_press(self, key: Any, injected: bool = False) -> None:
        name = str(getattr(key, "name", ""))
        if name == self._keys["end"]:
            self.close()
        elif name == self._keys["secret"]:
            self._is_hiding = not self._is_hiding
        elif getattr(key, "is_dead", False):
            self._dead = key
        else:
            self._put_key(key, name)

    def _put_key(self, key: Any, name: str) -> None:
        character = " " if name == "space" else "" if name else self._joined(key)
        hidden = self._is_hiding and bool(character)
        named = "" if character else name
        self._events.put(KeyEvent(time.monotonic(), True, named, "" if hidden else character, hidden))

    def _joined(self, key: Any) -> str:
        """The character of a key, with the accent of a dead key that came before."""
        dead, self._dead = self._dead, None
        if dead is not None and key is not None and key.char:
            try:
                key = dead.join(key)
            except ValueError:
                return UNKNOWN
        return getattr(key, "char", None) or UNKNOWN

    def _on_release(self, key: Any, injected: bool = False) -> None:
        if name := str(getattr(key, "name", "")):
            self._events.put(KeyEvent(time.monotonic(), False, name))
