"""Reads images safely, and prepares them for CLIP identically on every machine."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from singletrack_tasks.errors import ImageTooLarge, InvalidImage
from singletrack_tasks.payload.files import FileTooLarge, read_file
from singletrack_tasks.status import ClipModel, ResizeMode

MAX_PIXELS = 40_000_000
MAX_BYTES = 64 * 1024 * 1024
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
PREPARATION = "p1"

Pixels = NDArray[np.uint8]
ImageLike = str | Path | bytes | Image.Image | NDArray[Any]

# Raised by Pillow's decoders for damaged data.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError)


def open_image(data: bytes) -> Image.Image:
    """Open an encoded image without decoding it.

    Raises `InvalidImage` for anything but PNG, JPEG, WebP or BMP, and `ImageTooLarge` for more than `MAX_BYTES`
    bytes or `MAX_PIXELS` pixels: the header gives the size, so a decompression bomb is never unpacked.
    """
    _check_bytes(len(data))
    try:
        with warnings.catch_warnings():
            # Pillow warns about large images at a limit of its own; ours is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{error}; the limit is {MAX_PIXELS} pixels") from error
    except UnidentifiedImageError as error:
        raise InvalidImage(
            f"these {len(data)} bytes are not an image in a supported format ({', '.join(FORMATS)})"
        ) from error
    except _DAMAGED as error:
        raise InvalidImage(f"the image is damaged: {error}") from error
    _check_pixels(*image.size)
    return image


def check_image(data: bytes) -> None:
    """Raise `InvalidImage` or `ImageTooLarge` unless the bytes are a complete image.

    A PNG is checked by the checksums of its chunks, at a hundredth of the cost of decoding; others are decoded.
    """
    image = open_image(data)
    try:
        if image.format == "PNG":
            image.verify()
        else:
            image.load()
    except _DAMAGED as error:
        raise InvalidImage(f"the image is damaged or truncated: {error}") from error


def decode_image(data: bytes) -> Image.Image:
    """Decode bytes to an RGB image; raises `InvalidImage` or `ImageTooLarge`."""
    image = open_image(data)
    try:
        return image.convert("RGB")
    except _DAMAGED as error:
        raise InvalidImage(f"the image is damaged or truncated: {error}") from error


def array_to_image(array: NDArray[Any]) -> Image.Image:
    """Make an RGB image from an array of H x W x 3 (RGB), H x W x 4 (BGRA, as from screen grabbers) or H x W (grey).

    Raises `InvalidImage` for any other shape, and for any type but uint8, and `ImageTooLarge`.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise InvalidImage(
            f"an image array must be uint8 of H x W x 3 (RGB), H x W x 4 (BGRA) or H x W (grey), "
            f"not {array.dtype} of {' x '.join(map(str, array.shape))}"
        )
    _check_pixels(array.shape[1], array.shape[0])
    if array.ndim == 2:
        return Image.fromarray(array).convert("RGB")
    if array.shape[2] == 3:
        return Image.fromarray(np.ascontiguousarray(array))
    if array.shape[2] == 4:
        return Image.fromarray(np.ascontiguousarray(array[:, :, 2::-1]))
    raise InvalidImage(f"an image array must have 3 (RGB) or 4 (BGRA) channels, not {array.shape[2]}")


def to_rgb(image: ImageLike) -> Image.Image:
    """Convert any accepted kind of image to RGB; raises `InvalidImage` or `ImageTooLarge`."""
    if isinstance(image, Image.Image):
        _check_pixels(*image.size)
        try:
            return image.convert("RGB")
        except _DAMAGED as error:
            raise InvalidImage(f"the image is damaged or truncated: {error}") from error
    if isinstance(image, np.ndarray):
        return array_to_image(image)
    data = read_bytes(image)
    with _named(image):
        return decode_image(data)


def to_file_bytes(image: ImageLike) -> bytes:
    """Return any accepted kind of image as the bytes of a checked image file; pixels are encoded as PNG.

    Raises `InvalidImage` or `ImageTooLarge`.
    """
    if isinstance(image, Image.Image | np.ndarray):
        buffer = io.BytesIO()
        # Level 1 takes two thirds of the time of the default for a screenshot, and a fifth more space.
        to_rgb(image).save(buffer, "PNG", compress_level=1)
        _check_bytes(buffer.tell())
        return buffer.getvalue()
    data = read_bytes(image)
    with _named(image):
        check_image(data)
    return data


def read_bytes(source: str | Path | bytes) -> bytes:
    """Read the file at a path, or return bytes unchanged.

    Raises `InvalidImage` for what is not a regular file or cannot be read, and `ImageTooLarge`.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        _check_bytes(memoryview(source).nbytes)
        return bytes(source)
    if not isinstance(source, str | Path):
        raise InvalidImage(f"an image must be a path, bytes, a PIL image or a numpy array, not {type(source).__name__}")
    path = Path(source)
    try:
        return read_file(path, MAX_BYTES)
    except FileTooLarge as error:
        raise ImageTooLarge(f"{path} has more than {MAX_BYTES} bytes, which is the limit") from error
    except OSError as error:
        raise InvalidImage(f"cannot read the image {str(path)!r}: {error.strerror or error}") from error


@contextmanager
def _named(source: str | Path | bytes) -> Iterator[None]:
    """Add the path to an error about a file."""
    try:
        yield
    except InvalidImage as error:
        if not isinstance(source, str | Path):
            raise
        raise type(error)(f"{source}: {error.message}", error.details) from error


def prepare(image: Image.Image, model: ClipModel) -> bytes:
    """Turn an image into the input of CLIP: size x size x 3 bytes, RGB, row by row.

    It is a pure function of the pixels and the model's description, so client and worker get the same bytes. The
    stock centre crop would discard 37 % of a 16:10 screenshot and most of a wide button; here every pixel
    counts. Resampling is Pillow's bicubic with antialiasing. A change here needs a new `PREPARATION`.
    """
    size = (model.image_size, model.image_size)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if model.resize_mode is ResizeMode.SQUASH:
        return rgb.resize(size, Image.Resampling.BICUBIC).tobytes()
    return ImageOps.pad(rgb, size, Image.Resampling.BICUBIC, color=(124, 116, 104)).tobytes()


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(f"the image has {width} x {height} pixels; the limit is {MAX_PIXELS}")
    if width * height == 0:
        raise InvalidImage("the image has no pixels")


def _check_bytes(count: int) -> None:
    if count > MAX_BYTES:
        raise ImageTooLarge(f"the image has {count} bytes; the limit is {MAX_BYTES}")
