"""A label: a text as people see it, whole and alone."""

from dataclasses import dataclass
from functools import cached_property

from singletrack.agent.targets.geometry import Box
from singletrack.agent.words.comparing import text_key


@dataclass(frozen=True)
class Label:
    """A text on a screen, the box of its ink, and how sure its reading is, 0 to 1."""

    text: str
    box: Box
    score: float

    @cached_property
    def key(self) -> str:
        """What is left of the text when it is compared."""
        return text_key(self.text)
