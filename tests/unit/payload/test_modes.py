"""Each of Pillow's modes has one way to RGB, whichever way it comes in."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from singletrack_tasks.errors import ImageTooLarge, InvalidImage
from singletrack_tasks.payload.images import decode_image, prepare, to_file_bytes, to_rgb
from tests.unit.payload.pictures import (
    ALPHA,
    COLOURS,
    MODEL,
    RAMP,
    RAMP_16,
    Numbers,
    check,
    every_way,
    every_way_of_file,
    grey,
    over_white,
    pixels,
    png,
    saved,
)

INK = (10, 20, 30)

SIXTEEN_BITS: dict[str, Image.Image] = {
    "I;16": Image.fromarray(RAMP_16),
    "I;16L": Image.frombytes("I;16L", (256, 4), RAMP_16.astype("<u2").tobytes()),
    "I;16B": Image.frombytes("I;16B", (256, 4), RAMP_16.astype(">u2").tobytes()),
    "I;16N": Image.frombytes("I;16N", (256, 4), RAMP_16.astype("=u2").tobytes()),
    "I": Image.fromarray(RAMP_16.astype(np.int32)),
}


@pytest.mark.parametrize("mode", SIXTEEN_BITS)
def test_sixteen_bits_become_their_upper_eight(mode: str) -> None:
    image = SIXTEEN_BITS[mode]
    assert image.mode == mode
    assert pixels(to_rgb(image)).mean() == pytest.approx(127.5)
    check(every_way(image), grey(RAMP))


def test_files_of_sixteen_bits() -> None:
    check(every_way_of_file(saved(Image.fromarray(RAMP_16))), grey(RAMP))
    deep = COLOURS.astype(np.uint16) * 256 + 77
    # Pillow calls the mode of such a file RGB; other programs may round where it cuts.
    rows = deep.astype(">u2").reshape(6, -1).view(np.uint8)
    check(every_way_of_file(png(16, 2, rows)), COLOURS)
    with_alpha = np.dstack([deep, ALPHA.astype(np.uint16) * 256 + 3]).astype(">u2").reshape(6, -1).view(np.uint8)
    check(every_way_of_file(png(16, 6, with_alpha)), over_white(COLOURS, ALPHA), off=1)
    grey_alpha = np.dstack([deep[..., 0], ALPHA.astype(np.uint16) * 256]).astype(">u2").reshape(6, -1).view(np.uint8)
    check(every_way_of_file(png(16, 4, grey_alpha)), over_white(grey(COLOURS[..., 0]), ALPHA), off=1)


def test_floating_point_numbers_count_from_0_to_1() -> None:
    check(every_way(Image.fromarray((RAMP / 255).astype(np.float32))), grey(RAMP))
    check(every_way(Image.new("F", (3, 2), 0.5)), np.full((2, 3, 3), 128))


@pytest.mark.parametrize(
    "image",
    [
        Image.new("F", (2, 2), 255.0),
        Image.new("F", (2, 2), -0.01),
        Image.new("F", (2, 2), float("nan")),
        Image.new("I", (2, 2), 65536),
        Image.new("I", (2, 2), -1),
    ],
    ids=["F of 255", "F below 0", "F that is no number", "I beyond 16 bits", "I below 0"],
)
def test_numbers_without_a_stated_range_are_refused(image: Image.Image) -> None:
    for way in (to_rgb, to_file_bytes):
        with pytest.raises(InvalidImage, match=r"scale it|divide it"):
            way(image)


def test_what_is_transparent_lies_on_white() -> None:
    rgba = Image.fromarray(np.dstack([COLOURS, ALPHA]))
    expected = over_white(COLOURS, ALPHA)
    check(every_way(rgba), expected, off=1)
    check(every_way_of_file(saved(rgba)), expected, off=1)
    check(every_way_of_file(saved(rgba, "WEBP", lossless=True, exact=True)), expected, off=1)
    light = over_white(grey(COLOURS[..., 0]), ALPHA)
    la = Image.fromarray(np.dstack([COLOURS[..., 0], ALPHA]))
    assert la.mode == "LA"
    check(every_way(la), light, off=1)
    check(every_way_of_file(saved(la)), light, off=1)
    # Premultiplied colours are rounded twice.
    check(every_way(rgba.convert("RGBa")), expected, off=2)
    check(every_way(la.convert("La")), light, off=2)


def test_palettes_lie_on_white_where_they_are_transparent() -> None:
    palette = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
    palette.putpalette([*INK, 200, 100, 50, 1, 2, 3])
    opaque = np.array([[INK, (200, 100, 50), (1, 2, 3)]])
    check(every_way(palette), opaque)
    check(every_way_of_file(saved(palette)), opaque)
    one = np.array([[INK, (255, 255, 255), (1, 2, 3)]])
    check(every_way_of_file(saved(palette, transparency=1)), one)
    several = over_white(opaque, np.array([[0, 128, 255]], dtype=np.uint8))
    check(every_way_of_file(saved(palette, transparency=b"\x00\x80\xff")), several, off=1)
    pa = palette.convert("PA")
    pa.putalpha(Image.fromarray(np.array([[255, 0, 255]], dtype=np.uint8)))
    assert pa.mode == "PA"
    check(every_way(pa), one)
    of_four = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    of_four.putpalette([9, 9, 9, 0, 200, 100, 50, 255], "RGBA")
    check(every_way(of_four), np.array([[(255, 255, 255), (200, 100, 50)]]))


def test_a_transparent_colour_is_white() -> None:
    rgb = Image.fromarray(COLOURS)
    key = tuple(int(part) for part in COLOURS[0, 0])
    white_there = COLOURS.copy()
    white_there[0, 0] = 255
    check(every_way_of_file(saved(rgb, transparency=key)), white_there)
    light = Image.fromarray(RAMP)
    check(every_way_of_file(saved(light, transparency=7)), grey(np.where(RAMP == 7, 255, RAMP)))
    deep = saved(Image.fromarray(RAMP_16), transparency=7 * 256 + 255)
    check(every_way_of_file(deep), grey(np.where(RAMP == 7, 255, RAMP)))


def test_a_transparent_colour_counts_at_the_depth_of_the_file() -> None:
    two_bits = png(2, 0, np.array([[0b00_01_10_11]], dtype=np.uint8), (b"tRNS", struct.pack(">H", 1)))
    expected = grey(np.array([[0, 255, 170, 255]]))
    check([pixels(decode_image(two_bits)), pixels(Image.open(io.BytesIO(to_file_bytes(two_bits))))], expected)
    deep = (COLOURS.astype(np.uint16) * 256 + 77).astype(">u2")
    key = (b"tRNS", deep[0, 0].tobytes())
    white_there = COLOURS.copy()
    white_there[0, 0] = 255
    check(every_way_of_file(png(16, 2, deep.reshape(6, -1).view(np.uint8), key)), white_there)


def test_three_icons_on_a_transparent_ground_are_three_pictures() -> None:
    shapes = []
    for columns in (slice(0, 8), slice(8, 16), slice(0, 16)):
        alpha = np.zeros((16, 16), dtype=np.uint8)
        alpha[4:12, columns] = 255
        shapes.append(saved(Image.fromarray(np.dstack([np.zeros((16, 16, 3), dtype=np.uint8), alpha]))))
    assert len({prepare(decode_image(shape), MODEL) for shape in shapes}) == 3
    assert len({Image.open(io.BytesIO(to_file_bytes(shape))).tobytes() for shape in shapes}) == 3


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"])
def test_other_modes_go_the_way_of_pillow(mode: str) -> None:
    source = Image.fromarray(COLOURS)
    image = Image.frombytes("LAB", (5, 6), COLOURS.tobytes()) if mode == "LAB" else source.convert(mode)
    check(every_way(image), np.asarray(image.convert("RGB")))


def test_a_cmyk_jpeg_of_adobe_has_its_colours() -> None:
    for colour in ((255, 0, 0), (0, 0, 0), (255, 255, 255)):
        data = saved(Image.new("RGB", (16, 16), colour).convert("CMYK"), "JPEG", quality=100, subsampling=0)
        assert b"Adobe" in data
        check(every_way_of_file(data), np.broadcast_to(np.array(colour), (16, 16, 3)), off=3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_stands_upright(orientation: int, kind: str) -> None:
    stored = Image.fromarray(np.kron(COLOURS, np.ones((16, 16, 1), dtype=np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95}
    data = saved(stored, kind, exif=exif, **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    check(every_way_of_file(data), np.asarray(upright))
    assert (to_file_bytes(data) == data) is (orientation == 1 and kind != "WEBP")


def test_an_orientation_behind_the_pixels_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    plain = saved(Image.fromarray(COLOURS))
    check(every_way_of_file(plain[:-12] + chunk + plain[-12:]), np.rot90(COLOURS, -1))


def test_an_exif_block_that_is_damaged_says_nothing() -> None:
    image = Image.fromarray(COLOURS)
    for block in (b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        check(every_way_of_file(saved(image, exif=block)), COLOURS)


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    red = np.broadcast_to(np.array((255, 0, 0)), (4, 6, 3))
    for kind in ("PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)
        assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2
        check(every_way_of_file(data), red)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_plain_file_goes_to_the_vlm_as_it_is(mode: str, kind: str) -> None:
    data = saved(Image.fromarray(COLOURS).convert(mode), kind)
    assert to_file_bytes(data) == data


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_has_its_steps(depth: int) -> None:
    values = np.arange(8, dtype=np.uint8) % 2**depth
    bits = np.unpackbits(values[:, None], axis=1)[:, 8 - depth :].reshape(1, -1)
    data = png(depth, 0, np.packbits(bits, axis=1))
    check(every_way_of_file(data), grey(values[None] * (255 // (2**depth - 1))))
    header = to_file_bytes(data)[24:26]
    assert header == bytes([8, 2])


@pytest.mark.parametrize("kind", ["WEBP", "BMP"])
def test_what_not_every_server_reads_becomes_a_png(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = to_file_bytes(saved(Image.fromarray(COLOURS), kind, **options))
    assert Image.open(io.BytesIO(data)).format == "PNG"
    check(every_way_of_file(data), COLOURS)


def test_a_pil_image_that_was_closed_unread_says_so(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(saved(Image.fromarray(COLOURS)))
    with Image.open(path) as left, path.open("rb") as stream:
        behind = Image.open(stream)
    closed, emptied = Image.open(path), Image.fromarray(COLOURS)
    closed.close()
    emptied.close()
    for image in (left, behind, closed, emptied):
        with pytest.raises(InvalidImage, match="closed before its pixels were read"):
            to_rgb(image)
    with Image.open(path) as read:
        read.load()
    check(every_way(read), COLOURS)


def test_a_bmp_file_has_an_alpha_or_padding() -> None:
    for alpha, expected in ((ALPHA, over_white(COLOURS, ALPHA)), (np.zeros_like(ALPHA), COLOURS)):
        check(every_way_of_file(bmp(np.dstack([COLOURS[..., ::-1], alpha]))), expected, off=1)


def bmp(bgra: Numbers) -> bytes:
    height, width, _ = bgra.shape
    # Top-down rows of 32 bits, for which the header gives the masks of red, green, blue and alpha.
    header = struct.pack("<IiiHHIIiiII", 108, width, -height, 1, 32, 3, bgra.nbytes, 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    body = (header + masks).ljust(108, b"\0") + bgra.astype(np.uint8).tobytes()
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + 108) + body


def test_a_mode_without_a_way_is_refused() -> None:
    image = Image.new("RGB", (2, 2))
    image._mode = "BGR;15"
    with pytest.raises(InvalidImage, match="convert the image to RGB"):
        to_rgb(image)


def test_the_limit_of_pixels_is_the_same_for_all() -> None:
    for image in (np.broadcast_to(np.uint16(0), (7000, 7000)), Image.new("1", (49_000_000, 1))):
        with pytest.raises(ImageTooLarge):
            to_rgb(image)
