"""Anchors come back from disk as they were, or not at all."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from singletrack.agent.errors import InvalidAnchor
from singletrack.agent.targets.anchor import Anchor, Landmark, ScreenText
from singletrack.agent.targets.anchor_file import load_anchor, save_anchor
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Box, Point


def png(width: int = 30, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


ANCHOR = Anchor(
    box=Box(10, 20, 30, 20),
    crop_png=png(),
    point=Point(12, 22),
    text="Größe €",
    text_box=Box(12, 22, 20, 10),
    role=Role.BUTTON,
    landmarks=(Landmark(text="Name", dx=-40, dy=0),),
    twins=2,
    twin_boxes=(Box(10, 60, 30, 20),),
    texts=(ScreenText(text="Name", box=Box(0, 0, 5, 5)),),
    screen_width=200,
    screen_height=100,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    saved = tmp_path / "anchors" / "save.json"
    save_anchor(ANCHOR, saved)
    return saved


def changed(path: Path, **fields: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | fields
    path.write_text(json.dumps(content), encoding="utf-8")


def test_an_anchor_comes_back_as_it_was(path: Path) -> None:
    assert load_anchor(path) == ANCHOR
    assert path.with_suffix(".png").read_bytes() == ANCHOR.crop_png
    assert "crop_png" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".json", ".png"])
def test_a_missing_file(path: Path, suffix: str) -> None:
    path.with_suffix(suffix).unlink()
    with pytest.raises(InvalidAnchor, match=rf"save\{suffix} cannot be read.*Record the element again"):
        load_anchor(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0", "[" * 100_000])
def test_a_damaged_file(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidAnchor, match="Record the element again"):
        load_anchor(path)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("version", 2, "of version 2"),
        ("version", None, "of version None"),
        ("box", {"left": 0, "top": 0, "width": -1, "height": 5}, "damaged"),
        ("box", {"left": 190, "top": 0, "width": 30, "height": 20}, "damaged"),
        ("box", {"left": 10, "top": 20, "width": 31, "height": 20}, "30 x 20 pixels, its element 31 x 20"),
        ("twins", -1, "damaged: twins"),
        ("twins", "2", "damaged: twins"),
        ("text", "x" * 2000, "damaged: text"),
        ("unknown", 1, "damaged: unknown"),
        ("texts", [{"text": "a", "box": {"left": 0, "top": 0, "width": 1, "height": 1}}] * 2001, "damaged: texts"),
    ],
)
def test_a_file_with_something_wrong(path: Path, field: str, value: object, why: str) -> None:
    changed(path, **{field: value})
    with pytest.raises(InvalidAnchor, match=why):
        load_anchor(path)


def test_a_picture_of_another_anchor(path: Path) -> None:
    path.with_suffix(".png").write_bytes(png(31))
    with pytest.raises(InvalidAnchor, match="not the picture"):
        load_anchor(path)


def test_a_file_that_is_too_large(path: Path) -> None:
    path.write_bytes(b" " * 2_000_001)
    with pytest.raises(InvalidAnchor, match="larger than"):
        load_anchor(path)


@pytest.mark.parametrize("picture", [b"", b"GIF89a", png()[:60], png(29)])
def test_what_is_no_picture_of_the_element_is_not_saved(tmp_path: Path, picture: bytes) -> None:
    with pytest.raises(InvalidAnchor):
        save_anchor(ANCHOR.model_copy(update={"crop_png": picture}), tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
