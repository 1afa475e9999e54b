"""When two screens are the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.remembered.kept_screen import SAME_LEVELS, KeptScreen
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.geometry import Box, Point
from singletrack_ops.demo.samples import samples_folder

FIELD = Box(1600, 200, 900, 200)


def invoice() -> Screenshot:
    return Screenshot.of(samples_folder() / "invoice.png", title="Invoice entry")


def with_text(pixels: Pixels, text: str, colour: str = "black") -> Pixels:
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).text((2003, 303), text, colour, ImageFont.load_default(13))
    return np.asarray(picture)


def test_a_screen_comes_back_as_it_was() -> None:
    kept = KeptScreen.of(invoice())
    np.testing.assert_array_equal(kept.screenshot().pixels, invoice().pixels)
    assert kept.screenshot().title == "Invoice entry"
    assert kept.is_equal(invoice())
    assert kept.is_same(invoice().pixels)
    assert kept.size_bytes < 1_000_000


@pytest.mark.parametrize(("before", "after"), [("1,284.50", "1,234.50"), ("10.29", "10,29"), ("l", "I"), ("", "'")])
def test_another_amount_is_another_screen(before: str, after: str) -> None:
    pixels = invoice().pixels
    kept = KeptScreen.of(Screenshot(with_text(pixels, before)))
    assert kept.is_same(with_text(pixels, before))
    assert not kept.is_same(with_text(pixels, after))
    assert not kept.is_equal(Screenshot(with_text(pixels, after)))


def test_pale_digits_are_seen() -> None:
    pixels = invoice().pixels
    kept = KeptScreen.of(Screenshot(with_text(pixels, "18", "#f8f8f8")))
    assert not kept.is_same(with_text(pixels, "13", "#f8f8f8"))


def test_a_row_that_is_barely_tinted_is_seen() -> None:
    pixels = invoice().pixels.copy()
    pixels[1200:1260, 200:1400] = 255
    kept = KeptScreen.of(Screenshot(pixels.copy()))
    pixels[1200:1260, 200:1400] = 251
    assert not kept.is_same(pixels)


@pytest.mark.parametrize("place", [(0, 0), (799, 1234), (1599, 2559)])
def test_one_pixel_counts_wherever_it_is(place: tuple[int, int]) -> None:
    pixels = invoice().pixels.copy()
    kept = KeptScreen.of(Screenshot(pixels))
    changed = pixels.copy()
    changed[place] = np.where(pixels[place] > 127, pixels[place] - SAME_LEVELS, pixels[place] + SAME_LEVELS)
    assert kept.is_same(changed)
    assert not kept.is_equal(Screenshot(changed))
    changed[place][1] = int(changed[place][1]) + (-1 if pixels[place][1] > 127 else 1)
    assert not kept.is_same(changed)


def test_what_is_ignored_may_change_and_nothing_else() -> None:
    pixels = invoice().pixels
    kept = KeptScreen.of(Screenshot(with_text(pixels, "14:05")))
    after = with_text(pixels, "14:06")
    clock = Box(2000, 300, 60, 20)
    assert kept.is_same(after, [clock])
    assert kept.is_same(after, [Box(-50, -50, 10, 10), Box(0, 0, 9999, 9999)])
    assert not kept.is_same(after, [clock.moved(60, 0)])
    assert not kept.is_same(after, [Box(-5000, -5000, 10, 10)])


def test_another_size_is_another_screen() -> None:
    pixels = invoice().pixels
    assert not KeptScreen.of(invoice()).is_same(pixels[:-1])
    assert not KeptScreen.of(invoice()).is_equal(Screenshot(pixels[:, :-1], title="Invoice entry"))


@given(
    changes=st.lists(
        st.tuples(st.integers(0, 63), st.integers(0, 47), st.integers(0, 2), st.integers(-9, 9)), max_size=5
    ),
    boxes=st.lists(
        st.builds(Box, st.integers(-9, 63), st.integers(-9, 47), st.integers(-2, 30), st.integers(-2, 30)), max_size=2
    ),
)
def test_two_screens_are_the_same_exactly_if_no_pixel_that_counts_differs(
    changes: list[tuple[int, int, int, int]], boxes: list[Box]
) -> None:
    pixels = np.random.default_rng(5).integers(20, 235, (48, 64, 3), dtype=np.uint8)
    after = pixels.copy()
    for x, y, channel, by in changes:
        after[y, x, channel] = int(pixels[y, x, channel]) + by
    counts = [
        (x, y, channel)
        for x, y, channel, _ in changes
        if not any(box.contains(Point(x, y)) for box in boxes if box.width > 0 and box.height > 0)
    ]
    differs = any(abs(int(after[y, x, c]) - int(pixels[y, x, c])) > SAME_LEVELS for x, y, c in counts)
    assert KeptScreen.of(Screenshot(pixels)).is_same(after, boxes) is not differs
