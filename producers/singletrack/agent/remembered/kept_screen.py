"""A screen that a question was asked about, kept small, and compared with another one pixel by pixel."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.geometry import Box

# By how many of 255 levels a channel of a pixel may differ. Noise and a night light stay within 2; the faintest change
# that was measured to matter, a row that is tinted because it was chosen, is 4.
SAME_LEVELS: Final = 2
_FAST = 1
# Every eighth pixel of every eighth row tells most other screens apart, without unpacking.
_STEP = 8


@dataclass(frozen=True, eq=False)
class KeptScreen:
    """The pixels of a screen, compressed without loss, a sample of them, and its title."""

    data: bytes
    shape: tuple[int, ...]
    sample: Pixels
    digest: bytes
    title: str

    @classmethod
    def of(cls, screenshot: Screenshot) -> Self:
        """Keep a screenshot: some hundred KB for 2560x1600 where it shows no photographs."""
        pixels = np.ascontiguousarray(screenshot.pixels)
        sample = pixels[::_STEP, ::_STEP].copy()
        return cls(zlib.compress(pixels.tobytes(), _FAST), pixels.shape, sample, _digest(pixels), screenshot.title)

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        return len(self.data) + self.sample.nbytes

    def screenshot(self) -> Screenshot:
        """Return it as it was."""
        return Screenshot(self._pixels(), title=self.title)

    def is_equal(self, screenshot: Screenshot) -> bool:
        """Return whether title and every pixel are the same."""
        pixels = screenshot.pixels
        return (pixels.shape, screenshot.title) == (self.shape, self.title) and _digest(pixels) == self.digest

    def is_same(self, pixels: Pixels, ignored: Sequence[Box] = ()) -> bool:
        """Return whether no pixel differs by more than `SAME_LEVELS`, those in the `ignored` boxes left out."""
        if pixels.shape != self.shape:
            return False
        counts = np.ones(self.shape[:2], np.bool_)
        for box in ignored:
            counts[max(box.top, 0) : max(box.bottom, 0), max(box.left, 0) : max(box.right, 0)] = False
        if _differ(self.sample, pixels[::_STEP, ::_STEP], counts[::_STEP, ::_STEP]):
            return False
        # Ten times as fast as a comparison.
        return _digest(pixels) == self.digest or not _differ(self._pixels(), pixels, counts)

    def _pixels(self) -> Pixels:
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)


def _digest(pixels: Pixels) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).digest()


def _differ(one: Pixels, other: Pixels, counts: NDArray[np.bool_]) -> bool:
    apart = np.maximum(one, other) - np.minimum(one, other)
    return bool((apart.max(axis=2)[counts] > SAME_LEVELS).any())
