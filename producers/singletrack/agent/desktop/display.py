"""The real screen, by mss."""

from contextlib import ExitStack, closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from singletrack.agent.desktop.extra import desktop_extra
from singletrack.agent.desktop.system import DesktopSystem, this_system
from singletrack.agent.errors import InvalidScreenshot, NoDesktop, ScreenLocked
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.geometry import Box, Point

if TYPE_CHECKING:
    from mss import MSS

ALL_MONITORS: Final = 0


class RealDisplay:
    """Takes screenshots of one monitor (numbers begin with 1) or of all together (`ALL_MONITORS`).

    Raises `MissingExtra`, `NoDesktop`, or `InvalidScreenshot` if there is no such monitor.
    """

    def __init__(self, monitor: int = ALL_MONITORS, *, system: DesktopSystem | None = None) -> None:
        with desktop_extra():
            import mss
        self._mss_error = mss.ScreenShotError
        self._monitor = monitor
        with ExitStack() as opened:
            self._system = opened.enter_context(closing(this_system())) if system is None else system
            self._grabber = opened.enter_context(self._opened(mss.MSS))
            bounds = self._bounds()
            # On macOS mss is told where to grab in points, and gives pixels.
            self._pixels_per_unit: float = self._pixels(bounds).shape[1] / float(bounds["width"])
            self._opened_here = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the screen."""
        self._opened_here.close()

    @property
    def monitors(self) -> tuple[Box, ...]:
        """Each monitor on the desktop, in the units in which the mouse moves: pixels, but points on macOS."""
        return tuple(_box(one) for one in self._grabber.monitors[1:])

    @property
    def pixels_per_unit(self) -> float:
        """How many pixels a unit of the mouse has: 1.0, but on macOS the monitor's scaling."""
        return self._pixels_per_unit

    def grab(self) -> Screenshot:
        """Take a screenshot.

        Raises `ScreenLocked` for a locked or blank screen, `NoDesktop` for one that is gone.
        """
        self._system.check_screen()
        bounds = self._bounds()
        pixels = self._pixels(bounds)
        ratio = self._pixels_per_unit
        origin = Point(round(bounds["left"] * ratio), round(bounds["top"] * ratio))
        try:
            Screenshot.of(pixels)
        except InvalidScreenshot as error:
            raise ScreenLocked(f"Nothing is seen on the screen. {error}") from error
        scale = ratio * self._system.scale(_box(bounds))
        return Screenshot(pixels, origin, scale, self._system.active_title())

    def _opened(self, kind: "type[MSS]") -> "MSS":
        try:
            return kind()
        except self._mss_error as error:
            raise NoDesktop(f"There is no screen to grab: {error}.") from error

    def _bounds(self) -> dict[str, Any]:
        monitors = self._grabber.monitors
        if not 0 <= self._monitor < len(monitors):
            raise InvalidScreenshot(
                f"There is no monitor {self._monitor}: 1 to {len(monitors) - 1} are there, and 0 is all of them."
            )
        return monitors[self._monitor]

    def _pixels(self, bounds: dict[str, Any]) -> Pixels:
        try:
            shot = self._grabber.grab(bounds)
        except self._mss_error as error:
            raise NoDesktop(f"The screen cannot be grabbed: {error}.") from error
        blue_first = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        return np.ascontiguousarray(blue_first[:, :, 2::-1])


def _box(bounds: dict[str, Any]) -> Box:
    return Box(bounds["left"], bounds["top"], bounds["width"], bounds["height"])
