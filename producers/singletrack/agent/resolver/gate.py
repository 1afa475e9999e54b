"""Whether this is the screen that was recorded."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from singletrack.agent.resolver.layout import Layout
from singletrack.agent.resolver.voting import cast, settled, without_own
from singletrack.agent.seen import SeenScreen

_FEWEST_TEXTS: Final = 4
# Measured on pages of six toolkits: 0.22 and more on the recorded screen, in other languages too, 0.04 and less
# on other screens.
_LEAST_SHARE: Final = 0.13
_AGREES_WITHIN_PX: Final = 24.0
_VOTES: Final = 5
_FEWEST_PAIRS: Final = 3


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
    if len(pairs) >= _FEWEST_PAIRS:
        before, after = layout.then[pairs], layout.now[pairs]
        place = settled(without_own(cast(before, after, before, layout.scale)), _VOTES)
        away = np.abs((after[:, :2] + after[:, 2:]) / 2 - np.stack([place.x, place.y], axis=1))
        room = _AGREES_WITHIN_PX * max(layout.scale, 1) + 2 * np.stack([place.error_x, place.error_y], axis=1)
        there[pairs] = (away <= room).all(axis=1)
    return Gate(float(weights[there].sum() / weights.sum()), len(set(layout.keys)))


@lru_cache(maxsize=50_000)
def _weight(key: str) -> float:
    """Return what a text tells about a screen: long ones more than short ones, words more than numbers."""
    letters = sum(char.isalpha() for char in key)
    return float(min(letters, 12) + 0.3 * (len(key) - letters) + 0.5)
