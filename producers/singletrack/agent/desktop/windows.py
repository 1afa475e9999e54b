"""Windows: DPI awareness, the input desktop, titles and scales by its own functions."""

import ctypes
import sys
from typing import Final

from singletrack.agent.desktop.pynput_keyboard import PynputKeyboard
from singletrack.agent.errors import InputRefused, ScreenLocked
from singletrack.agent.targets.geometry import Box

_PER_MONITOR_V2: Final = -4
_PER_MONITOR: Final = 2
_SWITCH_DESKTOP: Final = 0x0100
_NEAREST_MONITOR: Final = 2
_EFFECTIVE_DPI: Final = 0
_CAPS_LOCK: Final = 0x14
_NORMAL_DPI: Final = 96
_TITLE_MAX: Final = 512

if sys.platform == "win32":

    def be_dpi_aware() -> None:
        """Have Windows tell this process physical pixels; has to come before its first window or grab."""
        user32 = ctypes.WinDLL("user32")
        user32.SetProcessDpiAwarenessContext.argtypes = (ctypes.c_void_p,)
        if not user32.SetProcessDpiAwarenessContext(ctypes.c_void_p(_PER_MONITOR_V2)):
            # Before Windows 10 1703, or decided by the program's manifest: then this changes nothing.
            ctypes.WinDLL("shcore").SetProcessDpiAwareness(_PER_MONITOR)

    class WindowsSystem(PynputKeyboard):
        """A Windows desktop; characters are sent as such, whatever the keyboard's layout."""

        def __init__(self) -> None:
            be_dpi_aware()
            super().__init__()
            self._user32 = ctypes.WinDLL("user32")
            self._user32.OpenInputDesktop.restype = ctypes.c_void_p
            self._user32.CloseDesktop.argtypes = (ctypes.c_void_p,)
            self._user32.GetForegroundWindow.restype = ctypes.c_void_p
            self._user32.GetWindowTextW.argtypes = (ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_int)
            self._user32.MonitorFromPoint.argtypes = (_Place, ctypes.c_ulong)
            self._user32.MonitorFromPoint.restype = ctypes.c_void_p

        def check_screen(self) -> None:
            """Raise `ScreenLocked` while the desktop of the lock or of a question about rights has the input."""
            desktop = self._user32.OpenInputDesktop(0, False, _SWITCH_DESKTOP)
            if not desktop:
                raise ScreenLocked("Windows shows its lock or asks for rights. Unlock it, or answer, and try again.")
            self._user32.CloseDesktop(desktop)

        def check_keyboard(self) -> None:
            """Raise `InputRefused` while Caps Lock is on, or no window has the keyboard."""
            if self._user32.GetKeyState(_CAPS_LOCK) & 1:
                raise InputRefused("Caps Lock is on and would change what is typed. Switch it off.")
            if not self._user32.GetForegroundWindow():
                raise InputRefused("No window has the keyboard. Click into one first.")

        def active_title(self) -> str:
            """Return the foreground window's title."""
            title = ctypes.create_unicode_buffer(_TITLE_MAX)
            self._user32.GetWindowTextW(self._user32.GetForegroundWindow(), title, _TITLE_MAX)
            return title.value

        def scale(self, monitor: Box) -> float:
            """Return the scaling of the monitor in whose middle that of the box lies."""
            place = _Place(monitor.center.x, monitor.center.y)
            handle = self._user32.MonitorFromPoint(place, _NEAREST_MONITOR)
            across, down = ctypes.c_uint(_NORMAL_DPI), ctypes.c_uint(_NORMAL_DPI)
            ctypes.WinDLL("shcore").GetDpiForMonitor(
                ctypes.c_void_p(handle), _EFFECTIVE_DPI, ctypes.byref(across), ctypes.byref(down)
            )
            return across.value / _NORMAL_DPI

    class _Place(ctypes.Structure):
        _fields_ = (("x", ctypes.c_long), ("y", ctypes.c_long))
