"""How labels look: the colour of their ink and of their ground."""

from typing import Final, NamedTuple

import numpy as np

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box

_INK_SHARE: Final = 0.1


class Colours(NamedTuple):
    """Ink and ground, each as red, green and blue."""

    ink: tuple[int, int, int]
    ground: tuple[int, int, int]

    @property
    def ink_colourfulness(self) -> int:
        """0 for grey, 255 for a pure colour."""
        return max(self.ink) - min(self.ink)

    @property
    def ground_colourfulness(self) -> int:
        """0 for grey, 255 for a pure colour."""
        return max(self.ground) - min(self.ground)


def look_at(pixels: Pixels, box: Box) -> Colours:
    """Tell ink from ground in a box of RGB pixels: the ground is the usual colour, ink what differs most from it."""
    part = pixels[max(box.top, 0) : box.bottom, max(box.left, 0) : box.right].reshape(-1, 3)
    if not len(part):
        return Colours((0, 0, 0), (0, 0, 0))
    ground = np.median(part, axis=0)
    distance = np.abs(part - ground).sum(axis=1)
    most = max(int(_INK_SHARE * len(part)), 1)
    ink = part[np.argpartition(distance, -most)[-most:]].mean(axis=0)
    return Colours(_colour(ink), _colour(ground))


def _colour(values: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in values)
    return red, green, blue
