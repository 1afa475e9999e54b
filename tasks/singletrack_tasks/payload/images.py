"""Reads images safely, and prepares them for CLIP and for the VLM identically on every machine."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from singletrack_tasks.errors import ImageTooLarge, InvalidImage
from singletrack_tasks.payload.image_limits import MAX_PIXELS, check_bytes, check_pixels
from singletrack_tasks.payload.modes import array_to_rgb, image_to_rgb, is_plain, reading, turn_of
from singletrack_tasks.payload.sources import named, read_bytes
from singletrack_tasks.status import ClipModel, ResizeMode

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
PREPARATION = "p2"

ImageLike = str | Path | bytes | Image.Image | NDArray[Any]

# What every server of VLMs reads; of phones' JPEG files (MPO) it takes the first picture, too.
_VLM_FORMATS = ("PNG", "JPEG", "MPO")
# Where a PNG may say, even behind its pixels, that it is not upright.
_ORIENTATION_IN_PNG = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")


def open_image(data: bytes) -> Image.Image:
    """Open an encoded image without decoding it; an animated one stands at its first frame.

    Raises `InvalidImage` for anything but PNG, JPEG, WebP or BMP, and `ImageTooLarge` for more than `MAX_BYTES`
    bytes or `MAX_PIXELS` pixels: the header gives the size, so a decompression bomb is never unpacked.
    """
    check_bytes(len(data))
    try:
        with warnings.catch_warnings(), reading():
            # Pillow warns about large images at a limit of its own; ours is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = _open(data)
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{error}; the limit is {MAX_PIXELS} pixels") from error
    check_pixels(*image.size)
    return image


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InvalidImage(
            f"these {len(data)} bytes are not an image in a supported format ({', '.join(FORMATS)})"
        ) from error


def decode_image(data: bytes) -> Image.Image:
    """Decode bytes to an RGB image; raises `InvalidImage` or `ImageTooLarge`."""
    return image_to_rgb(open_image(data))


def to_rgb(image: ImageLike) -> Image.Image:
    """Convert any accepted kind of image to RGB; raises `InvalidImage` or `ImageTooLarge`."""
    if isinstance(image, Image.Image):
        check_pixels(*image.size)
        return image_to_rgb(image)
    if isinstance(image, np.ndarray):
        return array_to_rgb(image)
    data = read_bytes(image)
    with named(image):
        return decode_image(data)


def to_file_bytes(image: ImageLike) -> bytes:
    """Return any accepted kind of image as the bytes of a checked image file, as `plain_file` does.

    Raises `InvalidImage` or `ImageTooLarge`.
    """
    if isinstance(image, Image.Image | np.ndarray):
        return _png(to_rgb(image))
    data = read_bytes(image)
    with named(image):
        plain = plain_file(data)
        if plain is data:
            _check_whole(data)
        return plain


def plain_file(data: bytes) -> bytes:
    """Return an image file that every server of VLMs reads alike: `data` itself where it is one, else a PNG.

    A PNG or JPEG with 8 bits a channel, grey or RGB, opaque and upright, stays as it is, and is not decoded. Raises
    `InvalidImage` and `ImageTooLarge`.
    """
    image = open_image(data)
    if image.format in _VLM_FORMATS and is_plain(image) and not _is_turned(image, data):
        return data
    return _png(decode_image(data))


def count_pixels(data: bytes) -> int:
    """Count the pixels of an encoded image by its header; raises as `open_image` does."""
    width, height = open_image(data).size
    return width * height


def _check_whole(data: bytes) -> None:
    # A PNG is checked by the checksums of its chunks, at a hundredth of the cost of decoding.
    image = open_image(data)
    with reading():
        if image.format == "PNG":
            image.verify()
        else:
            image.load()


def _is_turned(image: Image.Image, data: bytes) -> bool:
    # To find a PNG's EXIF block, Pillow decodes it: only where there may be one.
    if image.format == "PNG" and not any(mark in data for mark in _ORIENTATION_IN_PNG):
        return False
    return turn_of(open_image(data)) is not None


def _png(rgb: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # Level 1 takes two thirds of the time of the default for a screenshot, and a fifth more space.
    rgb.save(buffer, "PNG", compress_level=1)
    check_bytes(buffer.tell())
    return buffer.getvalue()


def prepare(image: Image.Image, model: ClipModel) -> bytes:
    """Turn an image into the input of CLIP: size x size x 3 bytes, RGB, row by row.

    It is a pure function of the pixels and the model's description, so client and worker get the same bytes. The
    stock centre crop would discard 37 % of a 16:10 screenshot and most of a wide button; here every pixel
    counts. Resampling is Pillow's bicubic with antialiasing. A change here needs a new `PREPARATION`.
    """
    size = (model.image_size, model.image_size)
    rgb = image_to_rgb(image)
    if model.resize_mode is ResizeMode.SQUASH:
        return rgb.resize(size, Image.Resampling.BICUBIC).tobytes()
    return ImageOps.pad(rgb, size, Image.Resampling.BICUBIC, color=(124, 116, 104)).tobytes()
