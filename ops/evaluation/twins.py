"""Which elements of a page can be mistaken for each other."""

from collections.abc import Sequence

import cv2

from evaluation.truth import TrueElement
from singletrack.agent.screen.screenshot import Pixels

_SIZE_TOLERANCE_PX = 2
# The greatest difference of two blurred crops, of 255, up to which they look the same: twins at fractions of a pixel
# are anti-aliased differently.
_SAME_LOOKS = 32
_BLUR_PX = 5


def with_twins(pixels: Pixels, elements: Sequence[TrueElement]) -> tuple[TrueElement, ...]:
    """Return the elements with the names of their twins: same visible text or, without any, same looks."""
    return tuple(
        one.model_copy(update={"twins": tuple(other.id for other in elements if _are_twins(pixels, one, other))})
        for one in elements
    )


def _are_twins(pixels: Pixels, one: TrueElement, other: TrueElement) -> bool:
    if one.id == other.id or not (one.is_seen and other.is_seen):
        return False
    if one.text or other.text:
        return one.text.casefold() == other.text.casefold()
    return _look_alike(pixels, one, other)


def _look_alike(pixels: Pixels, one: TrueElement, other: TrueElement) -> bool:
    if abs(one.box.width - other.box.width) > _SIZE_TOLERANCE_PX:
        return False
    if abs(one.box.height - other.box.height) > _SIZE_TOLERANCE_PX:
        return False
    width, height = min(one.box.width, other.box.width), min(one.box.height, other.box.height)
    first = _crop(pixels, one, width, height)
    second = _crop(pixels, other, width, height)
    return (
        int(cv2.absdiff(cv2.blur(first, (_BLUR_PX, _BLUR_PX)), cv2.blur(second, (_BLUR_PX, _BLUR_PX))).max())
        < _SAME_LOOKS
    )


def _crop(pixels: Pixels, element: TrueElement, width: int, height: int) -> Pixels:
    left, top = element.box.left, element.box.top
    return pixels[top : top + height, left : left + width]
