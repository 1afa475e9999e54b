"""Labels whose boxes begin with the tick box beside them, as engines read it along."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from singletrack.agent.detector.edges import Bits
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.label import Label

# In units: no letter is so wide, and at such a distance from the next.
_TICK: Final = (0.9, 2.2)
_GAP: Final = 0.3


def unticked(labels: Sequence[Label], edges: Bits, unit: float) -> list[Label]:
    """Return labels whose boxes are those of their letters alone; `edges` are those of the screen."""
    return [replace(label, box=_letters(label.box, edges, unit)) for label in labels]


def _letters(box: Box, edges: Bits, unit: float) -> Box:
    part = edges[max(box.top - 2, 0) : box.bottom + 2, max(box.left, 0) : box.right]
    inked = np.flatnonzero(part.any(axis=0))
    if not len(inked):
        return box
    jumps = np.flatnonzero(np.diff(inked) > _GAP * unit)
    if not len(jumps):
        return box
    start, end, after = int(inked[0]), int(inked[jumps[0]]) + 1, int(inked[jumps[0] + 1])
    height = int(part[:, start:end].any(axis=1).sum())
    width = end - start
    if not _TICK[0] * unit <= width <= _TICK[1] * unit or abs(width - height) > max(0.2 * height, 2):
        return box
    return Box(box.left + after, box.top, box.width - after, box.height)
