"""The real desktop: screen, mouse, keyboard and a person's stop together."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from singletrack.agent.desktop.display import ALL_MONITORS, RealDisplay
from singletrack.agent.desktop.hands import RealHands
from singletrack.agent.desktop.human_stop import HumanStop
from singletrack.agent.desktop.system import this_system


@dataclass(frozen=True, slots=True)
class RealDesktop:
    """Screen, mouse and keyboard, and the stop of whoever sits there."""

    display: RealDisplay
    hands: RealHands
    stop: HumanStop


@contextmanager
def open_desktop(monitor: int = ALL_MONITORS) -> Iterator[RealDesktop]:
    """Open a monitor (numbers begin with 1), or all of them.

    Raises `MissingExtra`, `NoDesktop`, or `InvalidScreenshot` if there is no such monitor.
    """
    with (
        closing(this_system()) as system,
        RealDisplay(monitor, system=system) as display,
        RealHands(pixels_per_unit=display.pixels_per_unit, system=system) as hands,
        HumanStop(hands.own_input, display.monitors) as stop,
    ):
        yield RealDesktop(display, hands, stop)
