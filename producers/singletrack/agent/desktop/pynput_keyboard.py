"""The keyboard by pynput alone: on Windows and macOS, where it sends characters as characters."""

from singletrack.agent.desktop.extra import desktop_extra
from singletrack.agent.desktop.keys import named_key


class PynputKeyboard:
    """Types and presses; raises `MissingExtra` or `NoDesktop` when it is made."""

    def __init__(self) -> None:
        with desktop_extra():
            from pynput.keyboard import Controller
        self._controller = Controller()

    def type_text(self, text: str) -> None:
        """Type a text; a line break is Enter."""
        self._controller.type(text)

    def press(self, *keys: str) -> None:
        """Press keys together and release them in the opposite order; raises `InputRefused` before the first."""
        chord = [named_key(key) for key in keys]
        with self._controller.pressed(*chord[:-1]):
            self._controller.tap(chord[-1])

    def wait_for_click(self) -> None:
        """Return at once: keys and clicks keep their order here."""

    def close(self) -> None:
        """Nothing is held between two calls."""
