"""Pictures for reports: the place of a step, with a mark; what is secret is painted over."""

import io
from collections.abc import Iterable

from PIL import Image, ImageDraw

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box, Point

_WIDTH_PX, _HEIGHT_PX = 720, 400
_WHOLE_WIDTH_PX = 960
_QUALITY = 85
_MARK, _HALO, _HIDDEN = (220, 20, 60), (255, 255, 255), (0, 0, 0)
_LINE_PX, _CROSS_PX = 3, 14


def place_picture(screenshot: Screenshot, box: Box, point: Point, hidden: Iterable[Box] = ()) -> bytes:
    """Return a JPEG of what is around a target, its box and the point in it marked; `hidden` boxes are black."""
    picture = _covered(screenshot, hidden)
    draw = ImageDraw.Draw(picture)
    for grow, colour, width in ((_LINE_PX + 2, _HALO, _LINE_PX + 4), (_LINE_PX, _MARK, _LINE_PX)):
        corners = (box.left - grow, box.top - grow, box.right + grow, box.bottom + grow)
        draw.rectangle(corners, outline=colour, width=width)
    for colour, width in ((_HALO, _LINE_PX + 3), (_MARK, _LINE_PX)):
        draw.line((point.x - _CROSS_PX, point.y, point.x + _CROSS_PX, point.y), fill=colour, width=width)
        draw.line((point.x, point.y - _CROSS_PX, point.x, point.y + _CROSS_PX), fill=colour, width=width)
    return _jpeg(picture.crop(_around(box, screenshot)))


def whole_picture(screenshot: Screenshot, hidden: Iterable[Box] = ()) -> bytes:
    """Return a JPEG of the whole screen, made smaller."""
    picture = _covered(screenshot, hidden)
    picture.thumbnail((_WHOLE_WIDTH_PX, _WHOLE_WIDTH_PX))
    return _jpeg(picture)


def _covered(screenshot: Screenshot, hidden: Iterable[Box]) -> Image.Image:
    picture = Image.fromarray(screenshot.pixels)
    draw = ImageDraw.Draw(picture)
    for box in hidden:
        draw.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), fill=_HIDDEN)
    return picture


def _around(box: Box, screenshot: Screenshot) -> tuple[int, int, int, int]:
    """A part of the screen with the box in its middle, as far as the screen's edges allow."""
    width = min(max(_WIDTH_PX, box.width + 80), screenshot.width)
    height = min(max(_HEIGHT_PX, box.height + 80), screenshot.height)
    left = min(max(box.center.x - width // 2, 0), screenshot.width - width)
    top = min(max(box.center.y - height // 2, 0), screenshot.height - height)
    return left, top, left + width, top + height


def _jpeg(picture: Image.Image) -> bytes:
    kept = io.BytesIO()
    picture.save(kept, "JPEG", quality=_QUALITY)
    return kept.getvalue()
