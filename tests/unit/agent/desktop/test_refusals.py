"""Without the extra, without a desktop, and with a mouse that does not do as it is told."""

import gc
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from singletrack.agent.desktop import own_input
from singletrack.agent.desktop.display import RealDisplay
from singletrack.agent.desktop.extra import desktop_extra
from singletrack.agent.desktop.hands import RealHands
from singletrack.agent.desktop.own_input import OwnInput
from singletrack.agent.desktop.typable import check_typable
from singletrack.agent.errors import InputRefused, MissingExtra, NoDesktop
from singletrack.agent.targets.geometry import Box, Point

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="X11 is not looked for elsewhere")
WITH_THE_EXTRA = pytest.mark.skipif(find_spec("Xlib") is None, reason="needs the extra [desktop]")


@LINUX_ONLY
@pytest.mark.parametrize("make", [RealDisplay, RealHands])
def test_without_the_extra_it_says_what_to_install(make: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("Xlib", "Xlib.threaded", "Xlib.display"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"pip install 'singletrack\[agent,desktop\]'"):
        make()


def test_a_package_that_finds_no_desktop_is_not_called_missing() -> None:
    with pytest.raises(NoDesktop, match="platform is not supported"), desktop_extra():
        raise ImportError("this platform is not supported\n\nTry one of the following resolutions")


@LINUX_ONLY
@WITH_THE_EXTRA
# python-xlib leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("variables", "says"),
    [({}, "DISPLAY is not set"), ({"WAYLAND_DISPLAY": "wayland-0"}, "Xorg"), ({"DISPLAY": ":98765"}, "DISPLAY=:98765")],
)
def test_without_a_display_it_says_what_to_do(
    variables: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NoDesktop, match=says):
        RealDisplay()
    gc.collect()


@pytest.mark.parametrize("text", ["", "Grüße, Ælfrič", "two\nlines\tand a tab", "日本語 \N{GRINNING FACE}"])
def test_texts_that_can_be_typed(text: str) -> None:
    check_typable(text)


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x7f", "\ud83d", "\ue000", "\uffff"])
def test_a_refusal_names_the_character_and_not_the_text(character: str) -> None:
    with pytest.raises(InputRefused, match="Character 8") as refused:
        check_typable(f"hunter2{character}")
    assert "hunter" not in str(refused.value)


class Mouse:
    """A mouse of another desktop: its pointer goes where it is let."""

    def __init__(self, *, held_at: tuple[int, int] | None = None) -> None:
        self.held_at = held_at
        self.place = (0, 0)
        self.clicked: list[tuple[int, int]] = []

    @property
    def position(self) -> tuple[int, int]:
        return self.held_at or self.place

    @position.setter
    def position(self, place: tuple[int, int]) -> None:
        self.place = place

    def scroll(self, _: int, notches: int) -> None:
        self.clicked.append(self.position)


class System:
    """An operating system that finds nothing wrong."""

    def check_screen(self) -> None: ...

    def check_keyboard(self) -> None: ...

    def wait_for_click(self) -> None: ...

    def active_title(self) -> str:
        return ""

    def scale(self, monitor: Box) -> float:
        return 1.0

    def type_text(self, text: str) -> None: ...

    def press(self, *keys: str) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("pixels_per_unit", "point", "place"),
    [
        (1.0, Point(-1920, 40), (-1920, 40)),
        (1.0, Point(2559, 1599), (2559, 1599)),
        (2.0, Point(-200, 301), (-100, 150)),
    ],
)
def test_pixels_left_of_the_first_monitor_and_on_one_of_points(
    pixels_per_unit: float, point: Point, place: tuple[int, int]
) -> None:
    mouse = Mouse()
    RealHands(pixels_per_unit=pixels_per_unit, system=System(), mouse=mouse).scroll(point, -2)
    assert mouse.clicked == [place]


def test_a_pointer_that_does_not_come_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("singletrack.agent.desktop.hands._ARRIVES_WITHIN_S", 0.05)
    mouse = Mouse(held_at=(7, 7))
    with pytest.raises(InputRefused, match="is at 7, 7 and does not go to 100, 100"):
        RealHands(system=System(), mouse=mouse).scroll(Point(100, 100), 1)
    assert mouse.clicked == []


def test_our_own_escapes_are_counted_and_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnInput()
    own.pressed_escape()
    assert own.is_own_escape()
    assert not own.is_own_escape(), "each is ours once"
    monkeypatch.setattr(own_input, "_EXPECTED_FOR_S", -1.0)
    own.pressed_escape()
    assert not own.is_own_escape(), "one that never came does not hide a person's"
