"""The one way of each of Pillow's modes, and of each kind of array, to RGB with 8 bits a channel.

What is transparent is composed over white, 16 bits become their upper 8, and floating-point numbers count from 0 to 1.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from singletrack_tasks.errors import InvalidImage, SingletrackError
from singletrack_tasks.payload.image_limits import check_pixels

_OPAQUE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_KEYED = ("1", "L", "P", "RGB")
_SIXTEEN_BITS = ("I", "I;16", "I;16L", "I;16B", "I;16N")

# By EXIF's number for the orientation in which the pixels are stored.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# By how the file stores its pixels: what makes the transparent colour, given at the file's depth, one of Pillow's.
_GREY_SCALE = {"L;2": 85, "L;4": 17}
# Raised by Pillow's decoders and converters for damaged data.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    struct.error,
    zlib.error,
)
_ARRAYS = (
    "an image array must be H x W (grey), H x W x 3 (RGB) or H x W x 4 (BGRA) of uint8, uint16 (its upper 8 bits "
    "count), bool, or floating-point numbers from 0 to 1"
)


@contextmanager
def reading() -> Iterator[None]:
    """Raise `InvalidImage` for whatever Pillow raises about damaged data."""
    try:
        yield
    except SingletrackError:
        raise
    except _DAMAGED as error:
        raise InvalidImage(f"the image is damaged or truncated: {str(error)[:200]}") from error


def image_to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode that has a way to RGB, upright as its EXIF orientation says.

    Of several frames, the one that it stands at is taken. Raises `InvalidImage`.
    """
    with reading():
        key = _transparent_colour(image)
        _load(image)
        rgb = _converted(image, key)
        turn = turn_of(image)
        if turn is None:
            return rgb
        turned = rgb.transpose(turn)
        # It would be turned again by whoever reads its EXIF block.
        turned.info = {}
        return turned


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return what makes an image upright, None if it is; an EXIF block that cannot be read says nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _DAMAGED:
        return None
    return _TURNS.get(orientation) if isinstance(orientation, int) else None


def is_plain(image: Image.Image) -> bool:
    """Whether an image that was opened and not decoded has 8 bits a channel, grey or RGB, and nothing transparent."""
    whole = _raw_mode(image) in (None, image.mode)
    return image.mode in ("L", "RGB") and whole and "transparency" not in image.info


def array_to_rgb(array: NDArray[Any]) -> Image.Image:
    """Convert an array: H x W (grey), H x W x 3 (RGB) or H x W x 4 (BGRA, as from screen grabbers).

    uint8; uint16, of which the upper 8 bits count; bool; or floating-point numbers from 0 to 1. A fourth channel that
    is 0 everywhere is padding. Raises `InvalidImage` for anything else, and `ImageTooLarge`.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and channels not in (3, 4)):
        raise InvalidImage(f"{_ARRAYS}, not {array.dtype} of {' x '.join(map(str, array.shape))[:100]}")
    check_pixels(array.shape[1], array.shape[0])
    # A subclass may leave some of the pixels out of its arithmetic, as one with a mask does.
    values = np.ascontiguousarray(_eight_bits(np.asarray(array)))
    if channels == 4:
        return _bgra_to_rgb(values)
    return Image.fromarray(values).convert("RGB")


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except _DAMAGED as error:
        gone = isinstance(image, ImageFile.ImageFile) and image.tile and image.fp is None
        if gone or "closed" in str(error):
            raise InvalidImage(
                "the PIL image was closed before its pixels were read: hand it over while it is open, or call its "
                "load() before"
            ) from error
        raise


def _converted(image: Image.Image, key: Any) -> Image.Image:
    if image.mode in _SIXTEEN_BITS:
        return _sixteen_bits_to_rgb(image, key)
    if image.mode == "F":
        return Image.fromarray(_unit_to_bytes(np.asarray(image))).convert("RGB")
    keyed = image.mode in _KEYED and key is not None
    if image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getbbox() is None:
        return image.convert("RGB")  # padding, which Windows calls alpha; browsers show such a file, too
    if keyed or image.mode in _WITH_ALPHA or (image.mode == "P" and image.has_transparency_data):
        return _over_white(image, key)
    if image.mode in _OPAQUE:
        return image if image.mode == "RGB" else image.convert("RGB")
    raise InvalidImage(f"Pillow's mode {image.mode!r} has no way to RGB here: convert the image to RGB or RGBA first")


def _transparent_colour(image: Image.Image) -> Any:
    """What `info` says of the transparent colour, at the depth of the decoded pixels."""
    key, raw_mode = image.info.get("transparency"), _raw_mode(image)
    if isinstance(key, int):
        return key * _GREY_SCALE.get(raw_mode or "", 1)
    if isinstance(key, tuple) and (raw_mode == "RGB;16B" or any(part > 255 for part in key)):
        return tuple(part >> 8 for part in key)
    return key


def _raw_mode(image: Image.Image) -> str | None:
    """How a PNG that is not decoded yet stores its pixels, None for anything else."""
    if not isinstance(image, ImageFile.ImageFile) or image.format != "PNG" or not image.tile:
        return None
    stored = image.tile[0].args
    return stored if isinstance(stored, str) else None


def _over_white(image: Image.Image, key: Any) -> Image.Image:
    if key is not None and key != image.info["transparency"]:
        image = image.copy()
        image.info["transparency"] = key
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba)
    return white


def _sixteen_bits_to_rgb(image: Image.Image, key: Any) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "I" and not (values.min() >= 0 and values.max() <= 0xFFFF):
        raise InvalidImage(
            f"Pillow's mode 'I' is read as 16 bits, from 0 to 65535, and this image has values from {values.min()} to "
            f"{values.max()}: scale it to that range, or to 8 bits and mode 'L'"
        )
    grey = _upper_bits(values)
    if isinstance(key, int):
        grey[values == key] = 255
    return Image.fromarray(grey).convert("RGB")


def _bgra_to_rgb(values: NDArray[np.uint8]) -> Image.Image:
    height, width, _ = values.shape
    alpha = values[:, :, 3]
    if alpha.min() == 255 or not alpha.any():
        return Image.frombuffer("RGB", (width, height), values, "raw", "BGRX", 0, 1)
    return _over_white(Image.frombuffer("RGBA", (width, height), values, "raw", "BGRA", 0, 1), None)


def _eight_bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return _upper_bits(array)
    if array.dtype.kind == "f":
        return _unit_to_bytes(array)
    raise InvalidImage(f"{_ARRAYS}, not {array.dtype}")


def _upper_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    return (values >> 8).astype(np.uint8)


def _unit_to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    # Written so that a number that is none fails, too.
    if not (values.min() >= 0 and values.max() <= 1):
        raise InvalidImage(
            f"an image of floating-point numbers counts from 0 to 1, and this one has values from {values.min():g} to "
            f"{values.max():g}: divide it by what is white, or make it uint8"
        )
    exact = values.astype(np.float32) if values.dtype.itemsize == 2 else values
    whole: NDArray[np.uint8] = np.rint(exact * 255).astype(np.uint8)
    return whole
