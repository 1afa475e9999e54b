"""A screenshot with its labels and maps."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.words.cutting import labels_of
from singletrack.agent.words.label import Label
from singletrack.agent.words.reader import TextReader


@dataclass(frozen=True, eq=False)
class SeenScreen:
    """A screenshot, read once, for any number of targets; maps are made when they are asked for.

    `findings` keeps what was found out about this screen for targets that were recorded together.
    """

    screenshot: Screenshot
    labels: tuple[Label, ...]
    findings: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, screenshot: Screenshot, reader: TextReader) -> Self:
        """Read a screenshot."""
        return cls(screenshot, labels_of(reader.read(screenshot.pixels), screenshot.pixels))

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """Lightness, height x width."""
        return np.asarray(cv2.cvtColor(self.screenshot.pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    @cached_property
    def keys(self) -> dict[str, tuple[int, ...]]:
        """Where in `labels` each text's key is."""
        places: dict[str, list[int]] = {}
        for place, label in enumerate(self.labels):
            places.setdefault(label.key, []).append(place)
        return {key: tuple(found) for key, found in places.items()}

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Left, top, right and bottom of each label, n x 4."""
        rows = [(label.box.left, label.box.top, label.box.right, label.box.bottom) for label in self.labels]
        return np.array(rows, dtype=np.float64).reshape(-1, 4)
