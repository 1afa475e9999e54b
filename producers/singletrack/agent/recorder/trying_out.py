"""Whether an anchor finds its element again, and only its element."""

from functools import cached_property
from typing import Final

from singletrack.agent.recorder.altered import ALTERATIONS, at_scale, painted_over
from singletrack.agent.recorder.readings import readings_on_copies
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.targets.resolution import Resolution
from singletrack.agent.targets.target import Target
from singletrack.agent.words.reader import TextReader

_MOST_READINGS: Final = 20


class Trials:
    """A screenshot and its altered copies, each read once, on which anchors are tried."""

    def __init__(self, seen: SeenScreen, resolver: Resolver, reader: TextReader) -> None:
        self.seen = seen
        self._resolver, self._reader = resolver, reader

    @cached_property
    def _copies(self) -> dict[str, tuple[SeenScreen, float]]:
        pixels = self.seen.screenshot.pixels
        return {
            name: (SeenScreen.of(Screenshot(alter(pixels)), self._reader), scale)
            for name, (alter, scale) in ALTERATIONS.items()
        }

    def with_readings(self, anchor: Anchor) -> Anchor:
        """Return an anchor that knows as well what its text is read as on the copies."""
        if not anchor.text or anchor.text_box is None:
            return anchor
        more = readings_on_copies(anchor.text, anchor.text_box, list(self._copies.values()))
        return anchor.model_copy(update={"readings": tuple(sorted({*anchor.readings, *more}))[:_MOST_READINGS]})

    def problems_of(self, anchor: Anchor, description: str) -> tuple[tuple[str, ...], bool]:
        """Return in words what is wrong with an anchor, and whether it may be used all the same."""
        target = Target(anchor=anchor, description=description)
        point = anchor.point or anchor.box.center
        grave = [*self._on_the_picture(target, point), *self._painted_over(target, anchor)]
        slight = []
        for name, (copy, scale) in self._copies.items():
            found = self._resolver.resolve(target, copy)
            if found.is_found and not _is_right(found, anchor, at_scale(point, scale), scale):
                grave.append(f"On a copy {name} something else was taken for it: {found.why}.")
            elif not found.is_found:
                slight.append(f"It is not found on a copy {name}: {found.why}.")
        return (*grave, *slight), not grave

    def _on_the_picture(self, target: Target, point: Point) -> list[str]:
        found = self._resolver.resolve(target, self.seen)
        if not found.is_found:
            return [f"It is not found on the recorded picture itself: {found.why}."]
        if target.anchor is None or not _is_right(found, target.anchor, point, 1.0):
            return [f"On the recorded picture itself something else was taken for it: {found.why}."]
        return []

    def _painted_over(self, target: Target, anchor: Anchor) -> list[str]:
        gone = _together(anchor.box, anchor.text_box)
        pixels = painted_over(self.seen.screenshot.pixels, gone)
        labels = tuple(label for label in self.seen.labels if not gone.contains(label.box.center))
        found = self._resolver.resolve(target, SeenScreen(Screenshot(pixels), labels, self._reader))
        return [f"With it painted over, something else was taken for it: {found.why}."] if found.is_found else []


def _is_right(found: Resolution, anchor: Anchor, point: Point, scale: float) -> bool:
    """Return whether a resolution lies where the element is: the point in its box, and near the one clicked."""
    if found.point is None:
        return False
    near_x = max(anchor.box.width, 12) * scale / 2 + 2
    near_y = max(anchor.box.height, 12) * scale / 2 + 2
    return abs(found.point.x - point.x) <= near_x and abs(found.point.y - point.y) <= near_y


def _together(box: Box, other: Box | None) -> Box:
    if other is None:
        return box
    left, top = min(box.left, other.left), min(box.top, other.top)
    right, bottom = max(box.right, other.right), max(box.bottom, other.bottom)
    return Box(left, top, right - left, bottom - top)
