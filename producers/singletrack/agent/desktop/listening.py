"""Listening to mouse and keyboard wherever they are used, by pynput."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from singletrack.agent.desktop.extra import desktop_extra

_ENDS_WITHIN_S: Final = 5.0


class InputListeners:
    """Calls back, in threads of its own, for as long as it is entered; `callbacks` have pynput's names.

    Raises `MissingExtra` or `NoDesktop`.
    """

    def __init__(self, **callbacks: Callable[..., None]) -> None:
        with desktop_extra():
            from pynput import keyboard, mouse
        keys = {name: call for name, call in callbacks.items() if name in {"on_press", "on_release"}}
        pointer = {name: call for name, call in callbacks.items() if name not in keys}
        self._listeners: tuple[Any, ...] = (keyboard.Listener(**keys), mouse.Listener(**pointer))

    def __enter__(self) -> Self:
        for listener in self._listeners:
            listener.start()
            listener.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            if listener.is_alive():
                _end(listener)

    @property
    def hear(self) -> bool:
        """Whether both still listen: a listener that failed ends without a word."""
        return all(listener.is_alive() and listener.running for listener in self._listeners)


def _end(listener: Any) -> None:
    listener.stop()
    # On X11 pynput's request to stop is not sent before the next event, which may never come: send one more, on a
    # connection of its own, because the listener closes those that it has.
    if (context := getattr(listener, "_context", None)) is not None and sys.platform == "linux":
        from Xlib.display import Display

        control = Display()
        control.record_disable_context(context)
        control.sync()
        control.close()
    listener.join(_ENDS_WITHIN_S)
