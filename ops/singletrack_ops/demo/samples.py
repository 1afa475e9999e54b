"""The sample screenshots: a wheel has them inside this package, a checkout beside it."""

import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from singletrack_ops.errors import OpsError

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "samples", _PACKAGE.parent / "samples")


@dataclass(frozen=True)
class SampleElement:
    """An element on a screenshot; `box` is x, y, width, height in pixels from the upper left corner."""

    id: str
    role: str
    label: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A screenshot and the elements on it."""

    name: str
    image: Path
    elements: tuple[SampleElement, ...]

    def crops(self, most: int) -> tuple[tuple[SampleElement, Image.Image], ...]:
        """Cut out the first `most` elements with distinct labels, in RGB."""
        distinct = {element.label: element for element in reversed(self.elements)}
        chosen = [element for element in self.elements if distinct[element.label] is element][:most]
        with Image.open(self.image) as picture:
            pixels = picture.convert("RGB")
        return tuple((element, pixels.crop(_corners(element.box))) for element in chosen)


def samples_folder() -> Path:
    """The folder with the samples; raises `OpsError` if the installation lacks it."""
    for place in _PLACES:
        if (place / "settings.json").is_file():
            return place
    raise OpsError(f"The sample screenshots are missing ({_PLACES[0]}). Install singletrack again.")


def scene_names() -> tuple[str, ...]:
    """The names of all scenes, sorted."""
    return tuple(sorted(file.stem for file in samples_folder().glob("*.json")))


def load_scene(name: str) -> Scene:
    """Read a scene; raises `OpsError` if there is none of that name."""
    folder = samples_folder()
    try:
        data = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OpsError(f"There is no sample scene {name!r}. The scenes are: {', '.join(scene_names())}.") from error
    elements = tuple(
        SampleElement(item["id"], item["role"], item["label"], _box(item["box"])) for item in data["elements"]
    )
    return Scene(name, folder / data["image"], elements)


def _box(numbers: list[int]) -> tuple[int, int, int, int]:
    x, y, width, height = numbers
    return x, y, width, height


def _corners(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x, y, width, height = box
    return x, y, x + width, y + height
