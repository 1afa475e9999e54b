"""What is noted while a step is played."""

from dataclasses import dataclass, field

from singletrack.agent.loop.looking import Found
from singletrack.agent.report.model import TargetReport, Verification
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.targets.resolution import Resolution
from singletrack.agent.targets.target import Target


@dataclass
class Notes:
    """What came of a step so far; `place` is where it acted."""

    target: TargetReport | None = None
    place: tuple[Found, Box, Point] | None = None
    verification: Verification = field(default_factory=Verification)
    retries: int = 0
    answer: str = ""

    def note_found(self, target: Target, found: Found) -> None:
        """Note what came of looking for a target."""
        resolution = found.resolution
        self.target = target_report(target, resolution, found.looks)
        if resolution.box is not None and resolution.point is not None:
            self.place = found, resolution.box, resolution.point


def target_report(target: Target, resolution: Resolution, looks: int) -> TargetReport:
    """Tell how a target was looked for."""
    point = resolution.point
    return TargetReport(
        name=target.name,
        status=resolution.status,
        why=resolution.why,
        method=resolution.method,
        score=resolution.score,
        point=(point.x, point.y) if point is not None else None,
        attempts=resolution.attempts,
        looks=looks,
        took_ms=resolution.took_ms,
    )
