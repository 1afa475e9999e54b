"""How large an image may be, and the images of one request together."""

from singletrack_tasks.errors import ImageTooLarge, InvalidImage

MAX_PIXELS = 40_000_000
MAX_BYTES = 64 * 1024 * 1024
# What a worker decodes for one request: some seconds of work.
MAX_REQUEST_PIXELS = 400_000_000


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


def check_request_pixels(count: int) -> None:
    """Raise `ImageTooLarge` for the images of one request if they have more than `MAX_REQUEST_PIXELS` pixels in all."""
    if count > MAX_REQUEST_PIXELS:
        raise ImageTooLarge(
            f"the images of this request have {count} pixels in all; the limit is {MAX_REQUEST_PIXELS}: send fewer in "
            "one request, or smaller ones",
            {"pixels": count, "limit_pixels": MAX_REQUEST_PIXELS},
        )
