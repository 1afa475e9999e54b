"""Where the ink of a text is."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box

# Of 255; fainter than this is paper.
_FAINTEST: Final = 24
_SHARE_OF_STRONGEST: Final = 0.35


def ink_of(pixels: Pixels) -> NDArray[np.bool_]:
    """Return which pixels of a text's box (height x width x 3) are ink: far from the commonest colour."""
    # A third of the pixels tells the commonest colour as well as all of them, in a third of the time.
    paper = np.median(pixels.reshape(-1, 3)[::3], axis=0).astype(np.int16)
    away = np.abs(pixels.astype(np.int16) - paper).max(axis=2)
    least = max(_FAINTEST, _SHARE_OF_STRONGEST * float(np.percentile(away.ravel()[::2], 98)))
    return np.asarray(away >= least, dtype=np.bool_)


def spans_of(profile: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs (first, first after) of True in a profile."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], profile, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def tightened(box: Box, ink: NDArray[np.bool_], left: int, right: int) -> Box | None:
    """Return the box of the ink in columns `left` to `right` of a box, None without any."""
    rows = spans_of(np.asarray(ink[:, left:right].any(axis=1)))
    if not rows:
        return None
    return Box(box.left + left, box.top + rows[0][0], right - left, rows[-1][1] - rows[0][0])
