"""A desktop of pictures reacts as its script says, and tells what it received."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from singletrack.agent.desktop.scripted import ScriptedDesktop
from singletrack.agent.desktop.scripted.desktop import Received
from singletrack.agent.desktop.scripted.script import (
    DesktopScript,
    ScriptedField,
    ScriptedMove,
    ScriptedPatch,
    ScriptedState,
)
from singletrack.agent.errors import InvalidDesktop
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.targets.geometry import Box, Point

FIELD, OTHER = Box(20, 20, 200, 40), Box(20, 100, 200, 40)
BUTTON, WHEEL = Box(300, 20, 80, 40), Box(300, 100, 80, 80)
ORIGIN = Point(-400, -50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one light and one dark, neither of one colour alone."""
    for name, colour in (("form", 250), ("done", 20)):
        pixels = np.full((240, 400, 3), colour, np.uint8)
        pixels[:10] = 128
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def form(**more: object) -> ScriptedState:
    fields = (
        ScriptedField(name="name", box=FIELD, text="old", max_chars=12),
        ScriptedField(name="pin", box=OTHER, secret=True),
    )
    moves = (
        ScriptedMove(to="done", box=BUTTON, name="save"),
        ScriptedMove(to="done", box=BUTTON, button=MouseButton.RIGHT, count=2, name="menu"),
        ScriptedMove(to="done", on="scroll", box=WHEEL),
        ScriptedMove(to="done", on="press", keys=("ctrl", "S")),
    )
    return ScriptedState.model_validate(
        {"name": "form", "picture": "form.png", "title": "Form", "fields": fields, "moves": moves, **more}
    )


def desktop(folder: Path, **more: object) -> ScriptedDesktop:
    states = (form(**more), ScriptedState(name="done", picture="done.png"))
    return ScriptedDesktop(DesktopScript(states=states, origin=ORIGIN, scale=1.5), folder)


def on_desktop(box: Box) -> Point:
    return box.center.moved(ORIGIN.x, ORIGIN.y)


def test_a_screenshot_tells_where_it_was_taken(folder: Path) -> None:
    shot = desktop(folder).grab()
    assert (shot.width, shot.height, shot.origin, shot.scale, shot.title) == (400, 240, ORIGIN, 1.5, "Form")


def test_a_click_on_a_move_shows_another_state(folder: Path) -> None:
    desk = desktop(folder)
    desk.click(on_desktop(BUTTON))
    assert desk.state == "done"
    assert desk.received == [Received("click", "form", "save", on_desktop(BUTTON))]
    assert desk.grab().pixels[100, 100, 0] == 20


def test_another_button_and_count_is_another_move(folder: Path) -> None:
    desk = desktop(folder)
    desk.click(on_desktop(BUTTON), MouseButton.RIGHT)
    assert desk.state == "form"
    assert [stray.kind for stray in desk.strays] == ["click"]
    desk.click(on_desktop(BUTTON), MouseButton.RIGHT, 2)
    assert desk.received[-1].hit == "menu"


def test_what_hits_nothing_is_noted(folder: Path) -> None:
    desk = desktop(folder)
    desk.click(Point(ORIGIN.x + 1, ORIGIN.y + 230))
    desk.type_text("lost")
    assert [(stray.kind, stray.text) for stray in desk.strays] == [("click", ""), ("type", "lost")]
    assert desk.typed == {}


def test_typing_goes_into_the_field_with_the_focus(folder: Path) -> None:
    desk = desktop(folder)
    before = desk.grab().crop(FIELD)
    desk.click(on_desktop(FIELD))
    desk.type_text(" and new")
    assert desk.typed == {"name": "old and new"}
    assert (desk.grab().crop(FIELD) != before).any()
    assert desk.strays == ()


def test_select_all_and_typing_replaces(folder: Path) -> None:
    desk = desktop(folder)
    desk.click(on_desktop(FIELD))
    desk.press("ctrl", "a")
    desk.type_text("longer than twelve")
    assert desk.typed == {"name": "longer than "}
    desk.press("backspace")
    assert desk.typed == {"name": "longer than"}
    desk.press("ctrl", "a")
    desk.press("delete")
    assert desk.typed == {"name": ""}


def test_a_secret_is_drawn_as_dots(folder: Path) -> None:
    desk = desktop(folder)
    desk.click(on_desktop(OTHER))
    desk.type_text("abcd")
    shown = desk.grab().crop(OTHER)
    desk.press("ctrl", "a")
    desk.type_text("wxyz")
    assert (desk.grab().crop(OTHER) == shown).all()
    desk.type_text("!")
    assert (desk.grab().crop(OTHER) != shown).any()


def test_fields_of_one_name_keep_their_text_from_state_to_state(folder: Path) -> None:
    other = ScriptedState(name="done", picture="done.png", fields=(ScriptedField(name="name", box=OTHER),))
    desk = ScriptedDesktop(DesktopScript(states=(form(), other), origin=ORIGIN), folder)
    desk.click(on_desktop(FIELD))
    desk.press("ctrl", "a")
    desk.type_text("kept")
    desk.show("done")
    desk.type_text("!")
    assert desk.typed == {"name": "kept!"}


def test_the_focus_is_lost_where_the_field_is_not(folder: Path) -> None:
    desk = desktop(folder)
    desk.click(on_desktop(FIELD))
    desk.show("done")
    desk.type_text("lost")
    assert [stray.text for stray in desk.strays] == ["lost"]


def test_wheel_and_keys_lead_on(folder: Path) -> None:
    desk = desktop(folder)
    desk.scroll(on_desktop(BUTTON), -1)
    assert desk.state == "form"
    desk.scroll(on_desktop(WHEEL), -1)
    assert desk.state == "done"
    desk.show("form")
    desk.press("s", "CTRL")
    assert desk.state == "done"


def test_patches_are_painted_over_the_picture(folder: Path) -> None:
    patch = ScriptedPatch(box=Box(100, 150, 50, 20), fill="#ff0000")
    pixels = desktop(folder, patches=(patch,)).grab().pixels
    assert pixels[160, 120].tolist() == [255, 0, 0]
    assert pixels[160, 160].tolist() == [250, 250, 250]


def test_a_script_is_read_from_its_folder(folder: Path) -> None:
    script = {
        "states": [
            {"name": "form", "picture": "form.png", "moves": [{"to": "done", "box": [300, 20, 80, 40]}]},
            {"name": "done", "picture": "done.png"},
        ],
        "origin": [-400, -50],
    }
    (folder / "desktop.json").write_text(json.dumps(script), encoding="utf-8")
    desk = ScriptedDesktop.load(folder)
    desk.click(on_desktop(BUTTON))
    assert desk.state == "done"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"states": []}', "states"),
        ('{"states": [{"name": "a", "picture": "form.png", "moves": [{"to": "b", "box": [0, 0, 9, 9]}]}]}', "'b'"),
        ('{"states": [{"name": "a", "picture": "form.png", "moves": [{"to": "a"}]}]}', "have a box"),
        (
            '{"states": [{"name": "a", "picture": "form.png", "fields": [{"name": "f", "box": [0, 0, 900, 9]}]}]}',
            "outs",
        ),
    ],
)
def test_a_bad_script_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "desktop.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidDesktop, match=said):
        ScriptedDesktop.load(folder)


def test_a_missing_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDesktop, match="cannot be read"):
        ScriptedDesktop.load(tmp_path)
