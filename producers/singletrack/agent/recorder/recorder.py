"""From a screenshot and the point that a person clicked to an anchor that finds the element again."""

from singletrack.agent.errors import InvalidTarget
from singletrack.agent.recorder.making import anchor_at
from singletrack.agent.recorder.recorded import Recorded
from singletrack.agent.recorder.trying_out import Trials
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.element import Role
from singletrack.agent.targets.geometry import Point
from singletrack.agent.words.reader import TextReader


class Recorder:
    """Records elements, and tries at once whether `resolver` finds them again.

    The screenshot recorded from last, and its altered copies, are kept: further elements of it cost little.
    """

    def __init__(self, resolver: Resolver, reader: TextReader) -> None:
        self._resolver, self._reader = resolver, reader
        self._trials: Trials | None = None

    def record(self, screenshot: Screenshot, point: Point, role: Role | None = None, description: str = "") -> Recorded:
        """Record the element at a pixel of a screenshot.

        `role` and `description` are what is known of it. Raises `InvalidTarget` if the point is not on the screenshot.
        """
        if not screenshot.box.contains(point):
            raise InvalidTarget(
                f"The point {point.x}, {point.y} is not on the screenshot of {screenshot.width} x {screenshot.height}."
            )
        trials = self._trials_on(screenshot)
        anchor = trials.with_readings(anchor_at(trials.seen, point, role))
        problems, is_enough = trials.problems_of(anchor, description)
        return Recorded(anchor, problems, is_enough)

    def _trials_on(self, screenshot: Screenshot) -> Trials:
        if self._trials is None or self._trials.seen.screenshot is not screenshot:
            self._trials = Trials(SeenScreen.of(screenshot, self._reader), self._resolver, self._reader)
        return self._trials
