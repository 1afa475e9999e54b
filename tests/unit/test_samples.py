"""The sample screenshots and the boxes that go with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).parents[2] / "ops" / "samples"
SIZE_PX = (2560, 1600)
MAX_FILE_BYTES = 250_000
ROLES = {
    "button", "checkbox", "dropdown", "icon", "input", "link", "menu", "radio", "slider", "tab", "toggle"
}  # fmt: skip
MIN_ELEMENTS = 12
SCENES = ["files", "invoice", "orders", "settings"]

each_scene = pytest.mark.parametrize("name", SCENES)


def load(name: str) -> dict[str, Any]:
    scene: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return scene


def test_every_picture_has_its_boxes_and_its_page() -> None:
    pictures = sorted(path.stem for path in SAMPLES.glob("*.png"))
    boxes = sorted(path.stem for path in SAMPLES.glob("*.json"))
    pages = sorted(path.stem for path in (SAMPLES / "pages").glob("*.html"))
    assert pictures == boxes == pages == SCENES


@each_scene
def test_a_picture_is_a_small_file_of_the_full_size(name: str) -> None:
    path = SAMPLES / f"{name}.png"
    with Image.open(path) as picture:
        assert picture.size == SIZE_PX
        assert picture.convert("RGB").mode == "RGB"
    assert path.stat().st_size <= MAX_FILE_BYTES
    scene = load(name)
    assert (scene["image"], scene["width"], scene["height"]) == (path.name, *SIZE_PX)


@each_scene
def test_elements_are_named_and_of_a_known_role(name: str) -> None:
    elements = load(name)["elements"]
    ids = [element["id"] for element in elements]
    assert len(ids) >= MIN_ELEMENTS
    assert len(set(ids)) == len(ids)
    assert {element["role"] for element in elements} <= ROLES
    assert all(element["id"] and element["label"] for element in elements)


@each_scene
def test_something_is_drawn_in_every_box(name: str) -> None:
    with Image.open(SAMPLES / f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for element in load(name)["elements"]:
        x, y, width, height = element["box"]
        assert width > 0, element
        assert height > 0, element
        assert min(x, y) >= 0, element
        assert x + width <= SIZE_PX[0], element
        assert y + height <= SIZE_PX[1], element
        part = pixels[y : y + height, x : x + width].reshape(-1, 3)
        assert (part != part[0]).any(), f"{element['id']}: one flat colour"


@pytest.mark.parametrize("page", sorted((SAMPLES / "pages").iterdir()), ids=lambda page: page.name)
def test_a_page_needs_nothing_from_elsewhere(page: Path) -> None:
    assert "//" not in page.read_text(encoding="utf-8").replace("// ", "")
