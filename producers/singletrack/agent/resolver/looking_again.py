"""Whether a place still looks as it did."""

from typing import Final

import numpy as np

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box

_MARGIN_PX: Final = 4
# A pixel has changed if a channel moved by more than this, of 255: JPEG and dithering do less.
_CHANGE: Final = 40
_MOST_CHANGED: Final = 0.03


def shows_the_same(box: Box, before: Screenshot, now: Screenshot) -> bool:
    """Return whether two screenshots of one size and place show the same in and around a box."""
    if before.pixels.shape != now.pixels.shape or before.origin != now.origin:
        return False
    around = Box(box.left - _MARGIN_PX, box.top - _MARGIN_PX, box.width + 2 * _MARGIN_PX, box.height + 2 * _MARGIN_PX)
    then, there = before.crop(around).astype(np.int16), now.crop(around).astype(np.int16)
    if then.size == 0:
        return False
    changed = np.abs(then - there).max(axis=2) > _CHANGE
    return float(changed.mean()) <= _MOST_CHANGED
