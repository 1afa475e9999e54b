"""Pictures whose pixels are known, and every way in which they come."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from singletrack_tasks.payload.images import decode_image, prepare, to_file_bytes, to_rgb
from singletrack_tasks.status import ClipModel

Numbers = NDArray[Any]

MODEL = ClipModel(name="clip", fingerprint="f", dimension=8, image_size=16, context_length=77)
# A ramp of all 8-bit values, four pixels high.
RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
RAMP_16 = RAMP.astype(np.uint16) * 256 + 255
COLOURS = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(2).integers(0, 256, (6, 5), dtype=np.uint8)


def pixels(image: Image.Image) -> Numbers:
    assert image.mode == "RGB"
    return np.asarray(image)


def every_way(image: Image.Image) -> list[Numbers]:
    """The pixels for CLIP and for the VLM, of a PIL image."""
    seen = Image.open(io.BytesIO(to_file_bytes(image)))
    return [pixels(to_rgb(image)), pixels(seen)]


def every_way_of_file(data: bytes) -> list[Numbers]:
    """The pixels for CLIP and for the VLM, of a file given as bytes, and as a PIL image before and after its load."""
    opened = Image.open(io.BytesIO(data))
    loaded = Image.open(io.BytesIO(data))
    loaded.load()
    for_vlm = Image.open(io.BytesIO(to_file_bytes(data)))
    assert (for_vlm.mode, for_vlm.info.get("transparency")) in {("RGB", None), ("L", None)}
    ways = [decode_image(data), to_rgb(data), to_rgb(opened), to_rgb(loaded), for_vlm.convert("RGB")]
    assert len({prepare(way, MODEL) for way in ways}) == 1
    return [pixels(way) for way in ways]


def over_white(colours: Numbers, alpha: Numbers) -> Numbers:
    part = alpha[..., None].astype(np.float64) / 255
    blended: Numbers = np.rint(colours * part + 255 * (1 - part))
    return blended


def grey(values: Numbers) -> Numbers:
    return np.repeat(values[..., None], 3, axis=2)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(depth: int, colour: int, rows: Numbers, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of rows of bytes as they are stored, 4 bytes or more each."""
    width = rows.shape[1] * 8 // (depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour])
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(text)) + kind + text + struct.pack(">I", zlib.crc32(kind + text)) for kind, text in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def check(found: list[Numbers], expected: Numbers, *, off: int = 0) -> None:
    assert found
    for one in found:
        assert one.shape == expected.shape
        assert np.abs(one.astype(int) - expected.astype(int)).max() <= off
