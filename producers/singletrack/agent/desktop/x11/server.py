"""X11: what its server can tell of the screen, the active window and the keyboard."""

import os
import time
from typing import Any, Final

from singletrack.agent.desktop.extra import desktop_extra
from singletrack.agent.desktop.x11.keyboard import X11Keyboard
from singletrack.agent.errors import InputRefused, NoDesktop, ScreenLocked
from singletrack.agent.targets.geometry import Box

_NORMAL_DPI: Final = 96.0
# Its picture and its input reach old windows alone, and what others show is black.
_WAYLAND: Final = "XWAYLAND"
_SAVER_ON: Final = 1
_ANY_BUTTON: Final = 0x1F00
_PASSED_ON_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.005


class X11System:
    """A desktop of X11, by a connection of its own.

    Raises `MissingExtra`, or `NoDesktop` if there is no X server, or one that is a part of Wayland.
    """

    def __init__(self) -> None:
        self._connection = _connect()
        self._root = self._connection.screen().root
        if self._is_wayland():
            self._connection.close()
            raise NoDesktop(
                "This session is Wayland, which shows a program neither other windows nor lets it click there. "
                "Log in with an Xorg session."
            )
        self._keyboard = X11Keyboard(self._connection)

    def check_screen(self) -> None:
        """Raise `NoDesktop` if the X server is gone, `ScreenLocked` while its screen saver is on."""
        with desktop_extra():
            from Xlib.error import ConnectionClosedError
        try:
            saver = self._root.screensaver_query_info() if self._connection.has_extension("MIT-SCREEN-SAVER") else None
        except ConnectionClosedError as error:
            raise NoDesktop("The X server is gone. Start the agent again when you are logged in.") from error
        if saver is not None and saver.state == _SAVER_ON:
            raise ScreenLocked("The screen saver is on. Unlock the screen, and try again.")

    def check_keyboard(self) -> None:
        """Raise `InputRefused` while no window has the keyboard, or a key is held or locked that changes others."""
        focus = self._connection.get_input_focus().focus
        if isinstance(focus, int):
            raise InputRefused(
                "No window has the keyboard: click into one first. A display without a window manager gives it to none."
            )
        self._keyboard.check_modifiers()

    def wait_for_click(self) -> None:
        """Wait until the window manager has passed a click on.

        It holds the mouse, but not the keyboard, while it decides what a click does to windows: a key that is typed
        meanwhile goes where the focus was before. Raises `InputRefused` if it goes on holding.
        """
        deadline = time.monotonic() + _PASSED_ON_WITHIN_S
        while self._root.query_pointer().mask & _ANY_BUTTON:
            if time.monotonic() > deadline:
                raise InputRefused(
                    "The click was sent, but the window manager does not pass it on, or a button is held."
                )
            time.sleep(_POLL_S)

    def active_title(self) -> str:
        """Return the title of the window that the window manager calls active."""
        with desktop_extra():
            from Xlib.error import BadWindow, XError
        active = self._active()
        try:
            title = None if active is None else self._property(active, "_NET_WM_NAME")
        except (BadWindow, XError):
            return ""  # it was closed since
        return title.decode("utf-8", "replace") if isinstance(title, bytes) else ""

    def scale(self, monitor: Box) -> float:
        """Return the scaling that toolkits are told, the same for all monitors."""
        for line in (self._property(self._root, "RESOURCE_MANAGER") or b"").splitlines():
            name, _, value = line.partition(b":")
            if name.strip() == b"Xft.dpi":
                return float(value) / _NORMAL_DPI
        return 1.0

    def type_text(self, text: str) -> None:
        """Type characters, whatever the keyboard's layout; raises `InputRefused`."""
        self._keyboard.type_text(text)

    def press(self, *keys: str) -> None:
        """Press keys together; raises `InputRefused` for a name that is no key."""
        self._keyboard.press(*keys)

    def close(self) -> None:
        """Give back the keys that were given other characters, and close the connection."""
        self._keyboard.give_back()
        self._connection.close()

    def _is_wayland(self) -> bool:
        if self._connection.has_extension(_WAYLAND):
            return True
        monitors = self._root.xrandr_get_monitors().monitors if self._connection.has_extension("RANDR") else ()
        return any(self._connection.get_atom_name(one.name).startswith(_WAYLAND) for one in monitors)

    def _active(self) -> Any:
        """The window that the window manager calls active, None if there is none."""
        found = self._property(self._root, "_NET_ACTIVE_WINDOW")
        if found is None or not len(found) or not found[0]:
            return None
        return self._connection.create_resource_object("window", found[0])

    def _property(self, window: Any, name: str) -> Any:
        found = window.get_full_property(self._connection.intern_atom(name), 0)
        return None if found is None else found.value


def _connect() -> Any:
    with desktop_extra():
        import Xlib.threaded  # noqa: F401 - makes connections safe for several threads
        from Xlib.display import Display
        from Xlib.error import DisplayError, XauthError
    try:
        return Display()
    except XauthError as error:
        raise NoDesktop(f"X11's file of permissions cannot be read ({error}): set XAUTHORITY to it.") from error
    except (DisplayError, OSError, OverflowError) as error:
        raise NoDesktop(_no_server(error)) from error


def _no_server(error: Exception) -> str:
    if not os.environ.get("DISPLAY"):
        if os.environ.get("WAYLAND_DISPLAY"):
            return "This session is Wayland without X11. Log in with an Xorg session."
        return "There is no screen: DISPLAY is not set. Start the agent from a graphical session, or under xvfb-run."
    return f"The X server at DISPLAY={os.environ['DISPLAY']} does not let us in: {error}. Is it running, and yours?"
