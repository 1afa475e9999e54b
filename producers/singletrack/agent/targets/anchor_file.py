"""Anchors on disk: JSON, and the picture in a PNG beside it."""

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from PIL import Image
from pydantic import ValidationError

from singletrack.agent.errors import InvalidAnchor
from singletrack.agent.targets.anchor import ANCHOR_VERSION, Anchor

_MOST_JSON_BYTES: Final = 2_000_000
_MOST_PNG_BYTES: Final = 20_000_000
_RECORD_AGAIN: Final = "Record the element again."


def save_anchor(anchor: Anchor, path: Path) -> None:
    """Write an anchor to `path` (JSON), and its picture beside it under the same name with `.png`.

    Raises `InvalidAnchor` if the picture is no PNG of the box's size, or if either file would be too large.
    """
    _check_picture(anchor, path)
    content: dict[str, Any] = anchor.model_dump(mode="json")
    content["picture_sha256"] = sha256(anchor.crop_png).hexdigest()
    text = json.dumps(content, indent=1, ensure_ascii=False)
    if len(text.encode()) > _MOST_JSON_BYTES or len(anchor.crop_png) > _MOST_PNG_BYTES:
        raise InvalidAnchor(f"The anchor for {path} is too large to be stored. Record a smaller element.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # The picture first: an anchor that is there has its picture.
    _picture_path(path).write_bytes(anchor.crop_png)
    path.write_text(f"{text}\n", encoding="utf-8")


def load_anchor(path: Path) -> Anchor:
    """Read an anchor; raises `InvalidAnchor` if a file is missing, damaged, too large, or of another version."""
    content = _content(path)
    version = content.get("version")
    if version != ANCHOR_VERSION:
        raise InvalidAnchor(f"{path} is of version {version!r}, this program reads {ANCHOR_VERSION}. {_RECORD_AGAIN}")
    picture = _read(_picture_path(path), _MOST_PNG_BYTES)
    if content.pop("picture_sha256", None) != sha256(picture).hexdigest():
        raise InvalidAnchor(f"{_picture_path(path)} is not the picture that {path} was saved with. {_RECORD_AGAIN}")
    try:
        anchor = Anchor.model_validate_json(json.dumps(content | {"crop_png": ""}), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InvalidAnchor(f"{path} is damaged: {place}: {first['msg']}. {_RECORD_AGAIN}") from error
    anchor = anchor.model_copy(update={"crop_png": picture})
    _check_picture(anchor, path)
    return anchor


def _content(path: Path) -> dict[str, Any]:
    data = _read(path, _MOST_JSON_BYTES)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidAnchor(f"{path} is damaged: {error}. {_RECORD_AGAIN}") from error
    if not isinstance(content, dict):
        raise InvalidAnchor(f"{path} holds no anchor. {_RECORD_AGAIN}")
    return content


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise InvalidAnchor(f"{path} cannot be read: {error.strerror}. {_RECORD_AGAIN}") from error
    if len(data) > most_bytes:
        raise InvalidAnchor(f"{path} is larger than {most_bytes:,} bytes: it is no anchor's file. {_RECORD_AGAIN}")
    return data


def _check_picture(anchor: Anchor, path: Path) -> None:
    picture = _picture_path(path)
    try:
        with Image.open(io.BytesIO(anchor.crop_png), formats=["PNG"]) as opened:
            size = opened.size
            opened.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidAnchor(f"{picture} is no PNG: {error}. {_RECORD_AGAIN}") from error
    if size != (anchor.box.width, anchor.box.height):
        raise InvalidAnchor(
            f"{picture} has {size[0]} x {size[1]} pixels, its element {anchor.box.width} x {anchor.box.height}. "
            f"{_RECORD_AGAIN}"
        )


def _picture_path(path: Path) -> Path:
    return path.with_suffix(".png")
