"""The port to whoever chooses a mark: a VLM, as a rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Mark
from singletrack.agent.targets.target import Target


@dataclass(frozen=True, slots=True)
class Choice:
    """The number of the mark that was chosen, None for none of them; `why` says more, for people.

    `asked` is False if nobody could be asked (no worker, no VLM): then `why` says what is missing. `queued_ms` is what
    of `took_ms` was spent in the worker's queue.
    """

    number: int | None
    why: str
    asked: bool = True
    model: str = ""
    took_ms: float = 0.0
    queued_ms: float = 0.0


class MarkChooser(Protocol):
    """Chooses among marks."""

    def choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target) -> Choice:
        """Choose the mark that is the target; `pixels` (RGB) have the marks drawn on them. Raises no errors."""
