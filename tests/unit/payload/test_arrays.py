"""Each kind of array has one way to RGB, and the others are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from singletrack_tasks.errors import InvalidImage
from singletrack_tasks.payload.images import to_file_bytes, to_rgb
from tests.unit.payload.pictures import ALPHA, COLOURS, RAMP, RAMP_16, Numbers, check, grey, over_white, pixels

BGRA = np.dstack([COLOURS[..., ::-1], ALPHA])
HALVES = np.random.default_rng(3).random((40, 40)).astype(np.float16)
ARRAYS: dict[str, tuple[Numbers, Numbers]] = {
    "grey": (COLOURS[..., 0], grey(COLOURS[..., 0])),
    "RGB": (COLOURS, COLOURS),
    "RGB, not in order": (np.asfortranarray(COLOURS)[:, ::-1], COLOURS[:, ::-1]),
    "BGRA": (BGRA, over_white(COLOURS, ALPHA)),
    "BGRA, opaque": (np.dstack([COLOURS[..., ::-1], np.full_like(ALPHA, 255)]), COLOURS),
    "BGRA, padded": (np.dstack([COLOURS[..., ::-1], np.zeros_like(ALPHA)]), COLOURS),
    "BGRA, of 16 bits": (BGRA.astype(np.uint16) * 256 + 9, over_white(COLOURS, ALPHA)),
    "grey of 16 bits": (RAMP_16, grey(RAMP)),
    "RGB of 16 bits, big endian": ((COLOURS.astype(np.uint16) * 256 + 1).astype(">u2"), COLOURS),
    "bool": (RAMP > 127, grey(np.where(RAMP > 127, 255, 0))),
    "float64": (COLOURS / 255, COLOURS),
    "float32, grey": ((RAMP / 255).astype(np.float32), grey(RAMP)),
    "float16, between the steps": (HALVES, grey(np.rint(HALVES.astype(np.float64) * 255))),
    "masked floating-point numbers": (np.ma.masked_less(RAMP / 255, 0.5), grey(RAMP)),
    "float16": ((RAMP / 255).astype(np.float16), grey(RAMP)),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_have_their_pixels(kind: str) -> None:
    array, expected = ARRAYS[kind]
    before = array.copy()
    seen = Image.open(io.BytesIO(to_file_bytes(array)))
    check([pixels(to_rgb(array)), pixels(seen)], expected, off=1 if "BGRA" in kind else 0)
    assert np.array_equal(array, before)


@pytest.mark.parametrize(
    "array",
    [
        COLOURS.astype(np.int64),
        COLOURS.astype(np.int8),
        COLOURS.astype(np.uint32),
        COLOURS.astype(np.float64),
        COLOURS / 255 - 0.5,
        np.full((2, 2), np.nan),
        COLOURS.astype(np.complex64),
        COLOURS.astype(object),
        COLOURS[..., :2],
        COLOURS[..., :1],
        COLOURS[None],
        COLOURS[:0],
        np.array("text"),
        np.zeros((1, 2, 3) * 10, dtype=np.uint8)[:0],
    ],
)
def test_other_arrays_are_refused_with_what_to_do(array: Numbers) -> None:
    for way in (to_rgb, to_file_bytes):
        with pytest.raises(InvalidImage, match=r"H x W x 3|divide it") as refused:
            way(array)
        assert len(refused.value.message) < 400
