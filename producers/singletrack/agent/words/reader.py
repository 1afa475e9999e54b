"""The port to an OCR engine."""

from dataclasses import dataclass
from typing import Protocol

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.geometry import Box


@dataclass(frozen=True, slots=True)
class TextLine:
    """A text as an engine read it; `score` is the engine's own, 0 to 1."""

    text: str
    box: Box
    score: float


class TextReader(Protocol):
    """An OCR engine."""

    @property
    def name(self) -> str:
        """Name and version, for reports."""

    def read(self, pixels: Pixels) -> list[TextLine]:
        """Read RGB pixels; boxes are in their pixels."""
