"""What a way of looking came to."""

from dataclasses import dataclass

from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.targets.resolution import Method, TargetStatus


@dataclass(frozen=True, slots=True)
class Rung:
    """The status that a way came to (None: the next way may try), its score, why, and the place if it found one."""

    method: Method
    status: TargetStatus | None
    why: str
    score: float = 0.0
    box: Box | None = None
    point: Point | None = None
