"""A screenshot with its labels and maps."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.cutting import labels_of
from singletrack.agent.words.label import Label
from singletrack.agent.words.reader import TextLine, TextReader

_ENLARGED: Final = 2


@dataclass(frozen=True, eq=False)
class SeenScreen:
    """A screenshot, read once, for any number of targets; maps are made when they are asked for.

    `reader` reads parts of it again, enlarged; without one only the labels are known. `findings` keeps what was found
    out about this screen for targets that were recorded together.
    """

    screenshot: Screenshot
    labels: tuple[Label, ...]
    reader: TextReader | None = None
    findings: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, screenshot: Screenshot, reader: TextReader) -> Self:
        """Read a screenshot."""
        return cls(screenshot, labels_of(reader.read(screenshot.pixels), screenshot.pixels), reader)

    def read_closely(self, box: Box) -> tuple[Label, ...]:
        """Read a part of the screen again, enlarged: small type is read better so; empty without a reader."""
        part = _within(box, self.screenshot.box)
        if self.reader is None or part.area == 0:
            return ()
        name = ("closely", part)
        if name not in self.findings:
            self.findings[name] = self._read_closely(part, self.reader)
        labels: tuple[Label, ...] = self.findings[name]
        return labels

    def _read_closely(self, part: Box, reader: TextReader) -> tuple[Label, ...]:
        crop = self.screenshot.crop(part)
        enlarged = cv2.resize(crop, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
        lines = reader.read(np.asarray(enlarged, dtype=np.uint8))
        back = [TextLine(line.text, _reduced(line.box), line.score) for line in lines]
        found = labels_of(back, crop)
        return tuple(Label(one.text, one.box.moved(part.left, part.top), one.score) for one in found)

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


def _within(box: Box, screen: Box) -> Box:
    left, top = max(box.left, 0), max(box.top, 0)
    right, bottom = min(box.right, screen.right), min(box.bottom, screen.bottom)
    return Box(left, top, max(right - left, 0), max(bottom - top, 0))


def _reduced(box: Box) -> Box:
    left, top = box.left // _ENLARGED, box.top // _ENLARGED
    right, bottom = math.ceil(box.right / _ENLARGED), math.ceil(box.bottom / _ENLARGED)
    return Box(left, top, right - left, bottom - top)
