"""Many boxes at once."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.targets.geometry import Box

_Flags = NDArray[np.bool_]


class Boxes:
    """Boxes as columns of numbers; questions about one box are answered for all of them."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        rows = [(box.left, box.top, box.right, box.bottom) for box in boxes]
        table = np.array(rows, dtype=np.int64).reshape(-1, 4)
        self.left, self.top, self.right, self.bottom = table.T
        self.width, self.height = self.right - self.left, self.bottom - self.top
        self.center_x, self.center_y = self.left + self.width // 2, self.top + self.height // 2

    def centred_in(self, box: Box) -> _Flags:
        """Which have their centres in a box."""
        across = (self.center_x >= box.left) & (self.center_x < box.right)
        return np.asarray(across & (self.center_y >= box.top) & (self.center_y < box.bottom))

    def shared_areas(self, box: Box) -> NDArray[np.int64]:
        """How many pixels each shares with a box."""
        across = np.minimum(self.right, box.right) - np.maximum(self.left, box.left)
        down = np.minimum(self.bottom, box.bottom) - np.maximum(self.top, box.top)
        return np.asarray(np.maximum(across, 0) * np.maximum(down, 0))

    def holding(self, box: Box, share: float) -> _Flags:
        """Which hold so large a share of a box."""
        return np.asarray(self.shared_areas(box) >= share * box.area)

    def beside(self, box: Box, reach: float) -> _Flags:
        """Which begin and end in the same rows as a box, no farther to a side than `reach`."""
        level = (np.abs(self.top - box.top) <= 3) & (np.abs(self.bottom - box.bottom) <= 3)
        return np.asarray(level & (self.gaps(box) <= reach) & ~self._same(box))

    def stacked(self, box: Box, reach: float) -> _Flags:
        """Which begin and end in the same columns as a box, no farther above or below than `reach`."""
        gaps = np.maximum(self.top - box.bottom, box.top - self.bottom)
        aligned = (np.abs(self.left - box.left) <= 3) & (np.abs(self.right - box.right) <= 3)
        return np.asarray(aligned & (gaps <= reach) & ~self._same(box))

    def gaps(self, box: Box) -> NDArray[np.int64]:
        """How far each lies to the left or right of a box; negative where they share columns."""
        return np.asarray(np.maximum(self.left - box.right, box.left - self.right))

    def in_row(self, box: Box) -> _Flags:
        """Which are about as high as a box, and lie in its row; itself included."""
        level = np.abs(self.center_y - box.center.y) <= 0.35 * box.height
        return np.asarray(level & (self.height >= 0.5 * box.height) & (self.height <= 2 * box.height))

    def share_row(self, box: Box) -> _Flags:
        """Which lie in a box's row, whatever their height."""
        return np.asarray(np.abs(self.center_y - box.center.y) <= 0.6 * np.maximum(self.height, box.height))

    def _same(self, box: Box) -> _Flags:
        same = (self.left == box.left) & (self.top == box.top)
        return np.asarray(same & (self.right == box.right) & (self.bottom == box.bottom))
