"""Draws a scripted desktop's pictures."""

from contextlib import suppress
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.desktop.scripted.script import ScriptedField, ScriptedPatch
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box

_FRAME_PX = 4
_DOT_SHARE = 0.4
# Of Linux, Windows and macOS; Pillow looks where their fonts are.
_FONTS = ("LiberationSans-Regular.ttf", "DejaVuSans.ttf", "arial.ttf", "Arial.ttf")
_FOCUS = (37, 99, 235)
_DARK, _LIGHT = (26, 32, 44), (240, 244, 250)


def painted(pixels: Pixels, patches: tuple[ScriptedPatch, ...]) -> Pixels:
    """Return a copy with patches painted over it."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for patch in patches:
        box = patch.box
        draw.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), fill=patch.fill)
        middle = (box.center.x, box.center.y)
        draw.text(middle, patch.text, fill=patch.ink, font=_font(patch.text_px), anchor="mm")
    return np.asarray(picture).copy()


def draw_field(pixels: Pixels, field: ScriptedField, text: str) -> None:
    """Draw what a field holds, over what the picture shows there."""
    box = field.box
    inner = Box(box.left + _FRAME_PX, box.top + _FRAME_PX, box.width - 2 * _FRAME_PX, box.height - 2 * _FRAME_PX)
    part = pixels[inner.top : inner.bottom, inner.left : inner.right]
    ground = tuple(int(value) for value in np.median(part.reshape(-1, 3), axis=0))
    picture = Image.new("RGB", (inner.width, inner.height), ground)
    draw = ImageDraw.Draw(picture)
    ink = _DARK if sum(ground) > 384 else _LIGHT
    at = (field.inset_px - _FRAME_PX, inner.height // 2)
    if field.secret:
        _draw_dots(draw, at, len(text), field.text_px, ink)
    else:
        draw.text(at, text, fill=ink, font=_font(field.text_px), anchor="lm")
    part[:] = np.asarray(picture)


def draw_focus(pixels: Pixels, field: ScriptedField) -> None:
    """Draw the frame of a field that has the focus."""
    box, width = field.box, _FRAME_PX - 1
    outer = pixels[box.top : box.bottom, box.left : box.right]
    for edge in (outer[:width], outer[-width:], outer[:, :width], outer[:, -width:]):
        edge[:] = _FOCUS


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in _FONTS:
        with suppress(OSError):
            return ImageFont.truetype(name, size_px)
    # Pillow's own, which has no accents.
    return ImageFont.load_default(size_px)


def _draw_dots(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], count: int, size_px: int, ink: tuple[int, int, int]
) -> None:
    side = round(size_px * _DOT_SHARE)
    for index in range(count):
        left = at[0] + index * round(side * 1.5)
        draw.ellipse((left, at[1] - side // 2, left + side, at[1] + side // 2), fill=ink)
