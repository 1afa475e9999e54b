"""How large an image may be, and the images of one request together."""

from singletrack_tasks.errors import ImageTooLarge, InvalidImage

MAX_PIXELS = 40_000_000
MAX_BYTES = 64 * 1024 * 1024


def check_pixels(width: int, height: int) -> None:
    """Raise `ImageTooLarge` for an image of more than `MAX_PIXELS` pixels, `InvalidImage` for one without any."""
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(f"the image has {width} x {height} pixels; the limit is {MAX_PIXELS}")
    if width * height == 0:
        raise InvalidImage("the image has no pixels")


def check_bytes(count: int) -> None:
    """Raise `ImageTooLarge` for an image of more than `MAX_BYTES` bytes."""
    if count > MAX_BYTES:
        raise ImageTooLarge(f"the image has {count} bytes; the limit is {MAX_BYTES}")
