"""What differs between operating systems, as a port, and this machine's."""

import sys
from typing import Protocol

from singletrack.agent.targets.geometry import Box


class DesktopSystem(Protocol):
    """The operating system's part of a desktop."""

    def check_screen(self) -> None:
        """Raise `NoDesktop` or `ScreenLocked` if there is no screen to look at now."""

    def check_keyboard(self) -> None:
        """Raise `InputRefused` or `NoDesktop` if a key that is sent now would be lost or changed."""

    def wait_for_click(self) -> None:
        """Return when a click that was sent has reached its window; raises `InputRefused` if it does not."""

    def active_title(self) -> str:
        """Return the title of the active window, "" if it cannot be had."""

    def scale(self, monitor: Box) -> float:
        """Return a monitor's scaling, 1.0 for 100 %."""

    def type_text(self, text: str) -> None:
        """Type characters that are neither control characters nor halves of one; raises `InputRefused`."""

    def press(self, *keys: str) -> None:
        """Press keys together; raises `InputRefused` for a name that is no key."""

    def close(self) -> None:
        """Let go of it, and leave the keyboard as it was."""


def this_system() -> DesktopSystem:
    """Return this machine's; raises `MissingExtra` or `NoDesktop`."""
    if sys.platform == "win32":
        from singletrack.agent.desktop.windows import WindowsSystem as System
    elif sys.platform == "darwin":
        from singletrack.agent.desktop.macos import MacSystem as System
    else:
        from singletrack.agent.desktop.x11.server import X11System as System
    return System()
