"""RGB pixels from coded pictures."""

import cv2
import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels


def decoded(coded: NDArray[np.uint8]) -> Pixels:
    """Return the RGB pixels of a PNG, JPEG or BMP; raises `ValueError` if it is none."""
    picture = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("this is no picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8)
