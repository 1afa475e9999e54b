"""Screen, mouse and keyboard on a real X server: what an application says that it received is the judge."""

import gc
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from singletrack.agent.desktop.display import RealDisplay
from singletrack.agent.desktop.hands import RealHands
from singletrack.agent.desktop.person import PersonWatcher
from singletrack.agent.desktop.real import RealDesktop, open_desktop
from singletrack.agent.errors import InputRefused, InvalidScreenshot, NoDesktop, ScreenLocked
from singletrack.agent.screen.person import PersonAct, PersonClicked, PersonPressed, PersonTyped
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.targets.geometry import ORIGIN, Point
from tests.integration.agent.windows import AppWindow, form_window
from tests.integration.agent.x_server import LIMIT_S, XServer, x_server
from tests.integration.ops.waiting import wait_for

# Characters of no layout, of one with Shift, with accents that keyboards make of two keys, of other scripts.
TEXTS = {
    "First name": "ß§éÉöß€中",
    "Last name": "Éléonore § ß «ñ» 10 % ~^`",
    "Street": "żółw Жук ελλ 日本語 €₿",
    "City": "Aa1 @#{}[]|\\ '\"",
}


@pytest.fixture(params=[1.0, 1.5], ids=["100 %", "150 %"])
def form(request: pytest.FixtureRequest, at_x11: XServer, folder: Path) -> Iterator[AppWindow]:
    with form_window(at_x11, folder, scale=request.param) as window:
        yield window


def person(x11: XServer, *words: str) -> None:
    """Do what a person does, from another process."""
    subprocess.run(["xdotool", *words], env=x11.environ, check=True, timeout=LIMIT_S)


def test_a_form_receives_what_was_typed_where_it_was_clicked(desktop: RealDesktop, form: AppWindow) -> None:
    for name, text in TEXTS.items():
        desktop.hands.click(form.box(name).center)
        desktop.hands.type_text(text)
    form.wait(lambda record: record["fields"] == TEXTS, f"the form has {TEXTS}: {form.record['fields']}")
    places = [(click["on"], Point(click["x"], click["y"])) for click in form.record["clicks"]]
    assert places == [(name, form.box(name).center) for name in TEXTS]
    desktop.hands.click(form.box("Save").center)
    form.wait(lambda record: record["submitted"] == [TEXTS], "the form is saved")


def test_more_characters_than_the_keyboard_has_unused_keys(desktop: RealDesktop, form: AppWindow) -> None:
    alphabet = "абвгдежзийклмнопрстуфхцчшщъыьэюя" + "αβγδεζηθικλμνξοπρστυφχψω"
    desktop.hands.click(form.box("Street").center)
    desktop.hands.type_text(alphabet)
    form.wait(lambda record: record["fields"]["Street"] == alphabet, f"all: {form.record['fields']['Street']}")


def test_keys_pressed_together_and_a_double_click(desktop: RealDesktop, form: AppWindow) -> None:
    desktop.hands.click(form.box("City").center)
    desktop.hands.type_text("one two")
    desktop.hands.press("home")
    desktop.hands.press("shift", "end")
    desktop.hands.type_text("three")
    form.wait(lambda record: record["fields"]["City"] == "three", "what was selected is replaced")
    desktop.hands.click(Point(form.box("City").left + 10, form.box("City").center.y), count=2)
    desktop.hands.type_text("four")
    form.wait(lambda record: record["fields"]["City"] == "four", "a double click selects a word")
    desktop.hands.click(form.box("City").center, MouseButton.RIGHT)
    form.wait(lambda record: record["clicks"][-1]["button"] == 3, "a right click arrives")


def test_a_screenshot_shows_the_window_that_is_active(desktop: RealDesktop, form: AppWindow) -> None:
    shot = desktop.display.grab()
    assert (shot.width, shot.height, shot.origin, shot.scale) == (2560, 1600, ORIGIN, 1.0)
    assert shot.title == "New customer"
    field = shot.crop(form.box("City"))
    assert float(field.mean()) > 200, "an empty field is bright"
    desktop.hands.click(form.box("City").center)
    desktop.hands.type_text("MMMMMMMM")
    wait_for(lambda: bool((desktop.display.grab().crop(form.box("City")) != field).any()), "the text is seen", LIMIT_S)


def test_what_cannot_be_typed_is_refused_before_the_first_character(desktop: RealDesktop, form: AppWindow) -> None:
    desktop.hands.click(form.box("City").center)
    for text in ("a\x07b", "a\ud83d", "a\x1b[A"):
        with pytest.raises(InputRefused, match=r"Character 2 of the text is U\+"):
            desktop.hands.type_text(text)
    for keys in ((), ("control", "a"), ("ctrl", "")):
        with pytest.raises(InputRefused):
            desktop.hands.press(*keys)
    desktop.hands.type_text("x")
    form.wait(lambda record: record["fields"]["City"] == "x", "nothing but x is typed")


def test_a_held_key_and_caps_lock_are_not_typed_through(
    desktop: RealDesktop, form: AppWindow, at_x11: XServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("singletrack.agent.desktop.x11.keyboard._RELEASED_WITHIN_S", 0.2)
    desktop.hands.click(form.box("City").center)
    person(at_x11, "keydown", "ctrl")
    with pytest.raises(InputRefused, match="held down"):
        desktop.hands.type_text("a")
    person(at_x11, "keyup", "ctrl")
    person(at_x11, "key", "Caps_Lock")
    with pytest.raises(InputRefused, match="Caps Lock"):
        desktop.hands.type_text("a")
    person(at_x11, "key", "Caps_Lock")
    desktop.hands.type_text("a")
    form.wait(lambda record: record["fields"]["City"] == "a", "one a is typed")


def test_a_place_outside_the_screen_is_not_clicked(
    desktop: RealDesktop, form: AppWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("singletrack.agent.desktop.hands._ARRIVES_WITHIN_S", 0.2)
    for place in (Point(2560, 10), Point(-1, 10)):
        with pytest.raises(InputRefused, match="does not go to"):
            desktop.hands.click(place)
    assert form.record["clicks"] == []


def test_only_a_persons_escape_stops(desktop: RealDesktop, form: AppWindow, at_x11: XServer) -> None:
    for _ in range(5):
        desktop.hands.press("esc")
    desktop.hands.type_text("x")
    form.wait(lambda record: record["keys"] >= 6, "the application saw the keys")
    assert not desktop.stop.is_set()
    person(at_x11, "key", "Escape")
    wait_for(desktop.stop.is_set, "a person's Esc stops", LIMIT_S)


def test_only_a_persons_corner_stops(desktop: RealDesktop, at_x11: XServer, folder: Path) -> None:
    with form_window(at_x11, folder):
        desktop.hands.click(Point(0, 0))
        desktop.hands.click(Point(2559, 1599))
        desktop.hands.click(Point(1300, 800))
        assert not desktop.stop.is_set()
        person(at_x11, "mousemove", "1200", "1598")
        assert not desktop.stop.is_set()
        person(at_x11, "mousemove", "2558", "1598")
        wait_for(desktop.stop.is_set, "a person's corner stops", LIMIT_S)


def test_a_stop_that_cannot_listen_any_more_is_set(at_x11: XServer) -> None:
    with open_desktop() as opened:
        assert not opened.stop.is_set()
    assert opened.stop.is_set()


def test_what_a_person_does_is_told(at_x11: XServer, form: AppWindow) -> None:
    acts: list[PersonAct] = []
    with RealDisplay() as display, PersonWatcher(display, is_secret=lambda click: click.point.y > 600) as watcher:
        empty = display.grab().crop(form.box("First name"))
        reading = threading.Thread(target=lambda: acts.extend(watcher.acts()))
        reading.start()
        first, last, save = (form.box(name).center for name in ("First name", "Last name", "Save"))
        person(at_x11, "mousemove", str(first.x), str(first.y), "click", "1")
        person(at_x11, "type", "Jane X")
        person(at_x11, "key", "BackSpace", "key", "Tab", "key", "ctrl+a", "key", "F9")
        person(at_x11, "type", "hunter2")
        person(at_x11, "key", "F9", "mousemove", str(last.x), str(last.y), "click", "1", "click", "1")
        person(at_x11, "type", "Doe")
        person(at_x11, "mousemove", str(save.x), str(save.y), "click", "1", "key", "F10")
        reading.join(LIMIT_S)
    assert not reading.is_alive()
    clicks = [act for act in acts if isinstance(act, PersonClicked)]
    assert [act if not isinstance(act, PersonClicked) else (act.point, act.count) for act in acts] == [
        (first, 1),
        PersonTyped("Jane "),
        PersonPressed(("tab",)),
        PersonPressed(("ctrl", "a")),
        PersonTyped("", is_secret=True),
        (last, 2),
        PersonTyped("Doe"),
        (save, 1),
    ]
    assert np.array_equal(clicks[0].before.crop(form.box("First name")), empty)
    assert not np.array_equal(clicks[1].before.crop(form.box("First name")), empty)


def test_a_monitor_that_is_not_there(at_x11: XServer) -> None:
    with pytest.raises(InvalidScreenshot, match="no monitor 7: 1 to 1"):
        RealDisplay(7)


def test_a_blank_screen_is_no_screenshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with x_server(tmp_path, width=640, height=480, managed=False) as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        with RealDisplay() as display, pytest.raises(ScreenLocked, match="blank"):
            display.grab()


def test_without_a_window_manager_nothing_is_typed_into_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with x_server(tmp_path, width=640, height=480, managed=False) as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        with RealHands() as hands, pytest.raises(InputRefused, match="window manager"):
            hands.type_text("lost")


# python-xlib leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_does_not_let_us_in(x11: XServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", x11.name)
    monkeypatch.setenv("XAUTHORITY", str(tmp_path / "none"))
    with pytest.raises(NoDesktop, match=r"XAUTHORITY|does not let us in"):
        RealDisplay()
    gc.collect()
