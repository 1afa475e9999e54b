"""What a raw score is worth: the share of right ones among resolutions that had it."""

from bisect import bisect_right
from typing import Final

from singletrack.agent.targets.resolution import Method

# (raw score from, share of right ones), never falling: (right + 1) / (found + 2) on the tuning half of the evaluation,
# six pages of five toolkits in 12 variants, 5,965 resolutions, one of them wrong. A choice by a VLM was not measured:
# its figure is the mean of the first design's.
_WORTH: Final[dict[Method, tuple[tuple[float, float], ...]]] = {
    Method.ANCHOR_TEMPLATE: ((0.0, 0.5), (0.6, 0.86), (0.7, 0.96), (0.86, 0.998), (0.95, 0.999)),
    Method.SOM_TEXT_MATCH: ((0.0, 0.5), (0.6, 0.94), (0.8, 0.995)),
    Method.SOM_VLM: ((0.0, 0.5), (1.0, 0.75)),
}


def calibrated(method: Method, raw: float) -> float:
    """Return how likely a resolution with a raw score is right."""
    table = _WORTH[method]
    return table[max(bisect_right(table, (raw, 1.0)) - 1, 0)][1]
