"""What a raw score is worth: the share of right ones among resolutions that had it."""

from bisect import bisect_right
from typing import Final

from singletrack.agent.targets.resolution import Method

# (raw score from, share of right ones): never falling.
_WORTH: Final[dict[Method, tuple[tuple[float, float], ...]]] = {
    Method.ANCHOR_TEMPLATE: ((0.0, 0.5), (0.6, 0.9), (0.7, 0.95), (0.86, 0.99), (0.95, 0.995)),
    Method.SOM_TEXT_MATCH: ((0.0, 0.5), (0.6, 0.9), (0.8, 0.97), (0.93, 0.99)),
    Method.SOM_VLM: ((0.0, 0.5), (1.0, 0.75)),
}


def calibrated(method: Method, raw: float) -> float:
    """Return how likely a resolution with a raw score is right."""
    table = _WORTH[method]
    return table[max(bisect_right(table, (raw, 1.0)) - 1, 0)][1]
