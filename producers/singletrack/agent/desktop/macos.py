"""macOS: the two permissions that a program needs there."""

import ctypes
import sys
from typing import Final

from singletrack.agent.desktop.pynput_keyboard import PynputKeyboard
from singletrack.agent.errors import NoDesktop
from singletrack.agent.targets.geometry import Box

_SERVICES: Final = "/System/Library/Frameworks/ApplicationServices.framework/ApplicationServices"
_GRAPHICS: Final = "/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics"

if sys.platform == "darwin":

    class MacSystem(PynputKeyboard):
        """A macOS desktop; its windows' titles are not known."""

        def check_screen(self) -> None:
            """Raise `NoDesktop` without the permission to record the screen: only the background would be seen."""
            graphics = ctypes.CDLL(_GRAPHICS)
            graphics.CGPreflightScreenCaptureAccess.restype = ctypes.c_bool
            if not graphics.CGPreflightScreenCaptureAccess():
                raise NoDesktop(
                    "This program may not see the screen. Allow it in System Settings > Privacy & Security > "
                    "Screen Recording, and start it again."
                )

        def check_keyboard(self) -> None:
            """Raise `NoDesktop` without the permission to control the computer: input would be lost."""
            services = ctypes.CDLL(_SERVICES)
            services.AXIsProcessTrusted.restype = ctypes.c_bool
            if not services.AXIsProcessTrusted():
                raise NoDesktop(
                    "This program may not click and type. Allow it in System Settings > Privacy & Security > "
                    "Accessibility, and start it again."
                )

        def active_title(self) -> str:
            """Return "": it takes more than these permissions."""
            return ""

        def scale(self, monitor: Box) -> float:
            """Return 1.0: the display knows how many pixels a point has, and multiplies."""
            return 1.0
