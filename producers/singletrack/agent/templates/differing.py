"""Pictures that were drawn alike, but for a stroke more or less: a correlation hardly notices it."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from singletrack.agent.templates.matching import Grey, softened

_TOLERANCE: Final = np.ones((3, 3), np.uint8)
# Of the contrast of the first picture.
_OTHERWISE: Final = 0.3
# Of what is drawn: JPEG and half a pixel come to 0.01, a plus in place of a minus to 0.03.
_LEAST_SHARE: Final = 0.02
# Of 255. Another theme, a greyed or a chosen state differ by more.
_SAME_PAPER: Final = 4.0
_SAME_INK: Final = 10.0

Values = NDArray[np.int16]


def is_drawn_otherwise(one: Grey, other: Grey) -> bool:
    """Return whether two grey pictures of one size have the same colours, but strokes that one alone has.

    In other colours the same icon is drawn otherwise too: nothing is told of these.
    """
    if not _have_same_colours(one, other):
        return False
    first, second = softened(one).astype(np.int16), softened(other).astype(np.int16)
    least = _OTHERWISE * float(np.ptp(first))
    away = np.maximum(_beyond(first, second), _beyond(second, first)) > least
    drawn = np.abs(first - np.median(first)) > least
    return bool(away.sum() > _LEAST_SHARE * drawn.sum())


def _have_same_colours(one: Grey, other: Grey) -> bool:
    papers = abs(float(np.median(one)) - float(np.median(other)))
    darkest, lightest = abs(int(one.min()) - int(other.min())), abs(int(one.max()) - int(other.max()))
    return papers <= _SAME_PAPER and max(darkest, lightest) <= _SAME_INK


def _beyond(one: Values, other: Values) -> Values:
    """Return how far values lie outside of those beside the same place of the other picture."""
    lowest, highest = cv2.erode(other, _TOLERANCE), cv2.dilate(other, _TOLERANCE)
    return np.asarray(np.maximum(np.maximum(one - highest, lowest - one), 0), dtype=np.int16)
