"""An anchor, ready to be looked for."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from singletrack.agent.errors import InvalidAnchor
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.words.comparing import text_key

_UNREADABLE: Final = "The anchor's picture cannot be read as a PNG. Record the element again."


@dataclass(frozen=True, eq=False)
class RecordedElement:
    """What is compared of an anchor: its picture in grey, the keys of its text's readings, and where that was."""

    anchor: Anchor
    grey: NDArray[np.uint8]
    keys: tuple[str, ...]
    text_box: Box
    point: Point

    @property
    def key(self) -> str:
        """Its text's key; empty without text."""
        return self.keys[0]

    @property
    def box(self) -> Box:
        """Its box when it was recorded."""
        return self.anchor.box

    @property
    def sought_box(self) -> Box:
        """What is looked for: the text's box where there is text, else the element's."""
        return self.text_box if self.key else self.box


@lru_cache(maxsize=512)
def _grey_of(png: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise InvalidAnchor(_UNREADABLE)
    return np.asarray(picture, dtype=np.uint8)


def colours_of(anchor: Anchor) -> Pixels:
    """Return an anchor's picture (RGB pixels); raises `InvalidAnchor` if it cannot be read."""
    picture = cv2.imdecode(np.frombuffer(anchor.crop_png, dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise InvalidAnchor(_UNREADABLE)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def recorded_element(anchor: Anchor) -> RecordedElement:
    """Make an anchor ready; raises `InvalidAnchor` if its picture cannot be read."""
    point = anchor.point if anchor.point is not None else anchor.box.center
    keys = (text_key(anchor.text), *(text_key(one) for one in anchor.readings))
    text_box = anchor.text_box or anchor.box
    return RecordedElement(anchor, _grey_of(anchor.crop_png), keys, text_box, point)
