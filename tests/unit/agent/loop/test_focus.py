"""A field that was clicked is still to be seen, whatever its focus looks like."""

import numpy as np
import pytest

from singletrack.agent.loop.looking import is_inside_kept
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box

FIELD = Box(40, 30, 120, 28)


def screen(*painted: tuple[Box, int]) -> Screenshot:
    pixels = np.full((90, 200, 3), 217, np.uint8)
    for box, level in ((FIELD, 255), *painted):
        pixels[box.top : box.bottom, box.left : box.right] = level
    return Screenshot(pixels)


def framed(*inside: tuple[Box, int]) -> Screenshot:
    """The field with a dark frame of two pixels, and something in it."""
    return screen((FIELD, 0), (Box(42, 32, 116, 24), 255), *inside)


@pytest.mark.parametrize(
    "inside",
    [(), ((Box(46, 35, 2, 18), 0),), ((Box(46, 38, 60, 9), 120),)],
    ids=["a frame", "a caret", "a hint that goes"],
)
def test_a_focus_keeps_the_inside(inside: tuple[tuple[Box, int], ...]) -> None:
    assert is_inside_kept(screen(), framed(*inside), FIELD)
    assert is_inside_kept(framed(*inside), screen(), FIELD)


@pytest.mark.parametrize("cover", [FIELD, Box(40, 30, 70, 28)], ids=["all of it", "more than half"])
def test_what_lies_over_it_does_not(cover: Box) -> None:
    assert not is_inside_kept(screen(), screen((cover, 90)), FIELD)


def test_of_a_box_that_is_all_frame_nothing_can_be_told() -> None:
    assert not is_inside_kept(screen(), screen(), Box(40, 30, 120, 8))
