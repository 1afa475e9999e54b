"""What is really to be seen on known scenes: pictures, and where their elements are."""

import base64
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from singletrack_ops.errors import OpsError

Grey = NDArray[np.uint8]

_COARSE = 4
# Smaller pictures are compared as they are.
_SMALLEST_COARSE = 96
_PEAKS = 5
_PATCH = 256
# Marks hide a part of a picture; another scene agrees with less.
_SAME_SCENE = 0.6
_STILL_THERE = 0.4
_DRAWN_STEP = 40


class TrueElement(NamedTuple):
    """An element: its box is left, top, width, height in pixels of its scene."""

    id: str
    role: str
    label: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class KnownScene:
    """A picture of a screen, and its elements."""

    name: str
    picture: Grey
    elements: tuple[TrueElement, ...]


class PartOfScene(NamedTuple):
    """A picture that shows a part of a scene: its left upper pixel is the scene's pixel (`left`, `top`)."""

    scene: KnownScene
    left: int
    top: int
    picture: Grey

    def box_of(self, element: TrueElement) -> tuple[int, int, int, int]:
        """Return an element's box in the picture."""
        left, top, width, height = element.box
        return left - self.left, top - self.top, width, height

    def shows(self, element: TrueElement) -> bool:
        """Return whether the element is on the picture, and neither covered nor gone."""
        left, top, width, height = self.box_of(element)
        seen = self.picture[max(top, 0) : top + height, max(left, 0) : left + width]
        known = self.scene.picture[element.box[1] :, element.box[0] :][:height, :width]
        return seen.shape == known.shape and _agreement(known, seen) >= _STILL_THERE


class Truth:
    """Known scenes."""

    def __init__(self, scenes: Iterable[KnownScene]) -> None:
        self.scenes = tuple(scenes)
        self._coarse = {scene.name: _coarse(scene.picture) for scene in self.scenes}

    @classmethod
    def read(cls, *folders: Path) -> Self:
        """Read folders like `ops/samples`: each `NAME.json` names a picture beside it; raises `OpsError`."""
        files = sorted(file for folder in folders for file in folder.glob("*.json"))
        read = [(file, json.loads(file.read_text(encoding="utf-8"))) for file in files]
        scenes = [_scene(file, told) for file, told in read if isinstance(told, dict) and "elements" in told]
        if not scenes:
            raise OpsError(f"There is no scene in {', '.join(map(str, folders))}: name a folder like ops/samples.")
        return cls(scenes)

    def look(self, picture: Grey) -> PartOfScene | None:
        """Find the scene that a picture shows a part of, None for an unknown one."""
        found = [place for scene in self.scenes for place in self._places(scene, picture)]
        score, scene, left, top = max(found, key=lambda it: it[0], default=(0.0, None, 0, 0))
        return PartOfScene(scene, left, top, picture) if scene is not None and score >= _SAME_SCENE else None

    def _places(self, scene: KnownScene, picture: Grey) -> list[tuple[float, KnownScene, int, int]]:
        if picture.shape[0] > scene.picture.shape[0] or picture.shape[1] > scene.picture.shape[1]:
            return []
        if min(picture.shape) < _SMALLEST_COARSE:
            scores = _match(scene.picture, picture)
            top, left = np.unravel_index(int(scores.argmax()), scores.shape)
            return [(float(scores.max()), scene, int(left), int(top))]
        scores = _match(self._coarse[scene.name], _coarse(picture))
        return [_refined(scene, picture, *peak) for peak in _peaks(scores)]


def decode_picture(text: str) -> Grey:
    """Decode a picture of a request (base64) to grey pixels."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as opened:
        return np.asarray(opened.convert("L"))


def _scene(file: Path, told: Mapping[str, Any]) -> KnownScene:
    with Image.open(file.parent / told["image"]) as opened:
        picture = np.asarray(opened.convert("L"))
    elements = (
        TrueElement(it["id"], it["role"], it["label"], (it["box"][0], it["box"][1], it["box"][2], it["box"][3]))
        for it in told["elements"]
    )
    return KnownScene(file.stem, picture, tuple(elements))


def _peaks(scores: NDArray[np.float32]) -> list[tuple[int, int]]:
    """The best places (left, top), apart from each other."""
    left_over, peaks = scores.copy(), []
    for _ in range(_PEAKS):
        top, left = (int(at) for at in np.unravel_index(int(left_over.argmax()), left_over.shape))
        if left_over[top, left] <= 0:
            break
        peaks.append((left, top))
        left_over[max(top - 2, 0) : top + 3, max(left - 2, 0) : left + 3] = -1
    return peaks


def _refined(scene: KnownScene, picture: Grey, left: int, top: int) -> tuple[float, KnownScene, int, int]:
    """Find the exact place around a coarse one, and how well the picture agrees with the scene there."""
    height, width = picture.shape
    patch_x, patch_y = _busiest(picture)
    patch = picture[patch_y : patch_y + _PATCH, patch_x : patch_x + _PATCH]
    x, y = max((left - 1) * _COARSE + patch_x, 0), max((top - 1) * _COARSE + patch_y, 0)
    around = scene.picture[y:, x:][: patch.shape[0] + 3 * _COARSE, : patch.shape[1] + 3 * _COARSE]
    if around.shape[0] < patch.shape[0] or around.shape[1] < patch.shape[1]:
        return 0.0, scene, 0, 0
    scores = _match(around, patch)
    dy, dx = (int(at) for at in np.unravel_index(int(scores.argmax()), scores.shape))
    left, top = x + dx - patch_x, y + dy - patch_y
    known = scene.picture[top:, left:][:height, :width] if min(left, top) >= 0 else picture[:0]
    return (_agreement(known, picture) if known.shape == picture.shape else 0.0), scene, left, top


def _busiest(picture: Grey) -> tuple[int, int]:
    """The left upper pixel of the patch with most edges of both directions: its place cannot be mistaken."""
    corners = [
        (x, y)
        for y in range(0, max(picture.shape[0] - _PATCH, 0) + 1, _PATCH // 2)
        for x in range(0, max(picture.shape[1] - _PATCH, 0) + 1, _PATCH // 2)
    ]
    across, down = (np.abs(np.diff(picture.astype(np.int16), axis=axis)) for axis in (1, 0))

    def edges(at: tuple[int, int]) -> float:
        part = np.s_[at[1] : at[1] + _PATCH, at[0] : at[0] + _PATCH]
        return min(float(across[part].mean()), float(down[part].mean()))

    return max(corners, key=edges)


def _agreement(known: Grey, seen: Grey) -> float:
    """Compare what is drawn, and the ground: the smaller share of pixels that are as they were."""
    drawn = np.abs(known.astype(np.int16) - int(np.median(known))) > _DRAWN_STEP
    kept = np.abs(known.astype(np.int16) - seen) <= _DRAWN_STEP
    return min(float(kept[part].mean()) for part in (drawn, ~drawn) if part.any())


def _match(scene: Grey, picture: Grey) -> NDArray[np.float32]:
    cv2 = _cv2()
    scores: NDArray[np.float32] = cv2.matchTemplate(scene, picture, cv2.TM_CCOEFF_NORMED)
    return np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)


def _coarse(picture: Grey) -> Grey:
    cv2 = _cv2()
    size = (max(picture.shape[1] // _COARSE, 1), max(picture.shape[0] // _COARSE, 1))
    smaller: Grey = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return smaller


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise OpsError("Comparing pictures needs OpenCV. Run: pip install 'singletrack[agent]'") from error
    return cv2
