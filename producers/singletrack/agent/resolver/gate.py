"""Whether this is the screen that was recorded."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from singletrack.agent.resolver.layout import Layout
from singletrack.agent.resolver.voting import cast, settled
from singletrack.agent.seen import SeenScreen

_FEWEST_TEXTS: Final = 4
_LEAST_SHARE: Final = 0.24
_AGREES_WITHIN_PX: Final = 24.0
_VOTES: Final = 5


@dataclass(frozen=True, slots=True)
class Gate:
    """How much of the recorded screen is there, 0 to 1: texts by weight, those alone count that lie as recorded."""

    share: float
    texts: int

    @property
    def is_open(self) -> bool:
        """Whether this is the recorded screen, or too few texts were recorded to tell."""
        return self.texts < _FEWEST_TEXTS or self.share >= _LEAST_SHARE


def gate_of(layout: Layout, seen: SeenScreen) -> Gate:
    """Compare a screen with the recorded one."""
    name = ("gate", id(layout))
    if name not in seen.findings:
        seen.findings[name] = _gate_of(layout)
    gate: Gate = seen.findings[name]
    return gate


def _gate_of(layout: Layout) -> Gate:
    weights = np.array([_weight(key) / layout.keys.count(key) for key in layout.keys])
    if not len(weights):
        return Gate(0.0, 0)
    there = np.zeros(len(weights), dtype=np.bool_)
    pairs = layout.pairs
    for one in pairs:
        others = pairs[pairs != one]
        if len(others) < 2:
            continue
        place = settled(cast(layout.then[others], layout.now[others], layout.then[one], layout.scale), _VOTES)
        middle = (layout.now[one][:2] + layout.now[one][2:]) / 2
        room = _AGREES_WITHIN_PX * max(layout.scale, 1) + 2 * np.array([place.error_x, place.error_y])
        there[one] = bool((np.abs(middle - (place.x, place.y)) <= room).all())
    return Gate(float(weights[there].sum() / weights.sum()), len(set(layout.keys)))


@lru_cache(maxsize=50_000)
def _weight(key: str) -> float:
    """Return what a text tells about a screen: long ones more than short ones, words more than numbers."""
    letters = sum(char.isalpha() for char in key)
    return float(min(letters, 12) + 0.3 * (len(key) - letters) + 0.5)
