"""Looking: screenshots, targets on them, and waiting for either; a person's stop ends all of it at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from singletrack.agent.loop.parts import Desk, Eyes, Pace
from singletrack.agent.loop.stopping import NOTICE_S, Unsure, check_stop, until_stopped
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import Resolution
from singletrack.agent.targets.target import Target

# Of the screen without the target: a caret or a clock changes less, whatever a click sets off changes more.
_CHANGED_SHARE = 0.001
_CHANGED_LEVELS = 24
_AROUND_PX = 24
# A field that has the focus: its frame is that wide, and so much of its inside a caret or a hint that goes may change.
_FRAME_PX = 4
_CHANGED_INSIDE = 0.3


@dataclass(frozen=True)
class Found:
    """What came of looking for a target: the screen it was looked for on, and how many screens were looked at.

    `now` is the last screenshot, taken after the target was found.
    """

    seen: SeenScreen
    resolution: Resolution
    looks: int
    now: Screenshot


class Looker:
    """Looks at a desktop."""

    def __init__(self, desk: Desk, eyes: Eyes, pace: Pace) -> None:
        self._desk = desk
        self._eyes = eyes
        self._pace = pace
        self._last: SeenScreen | None = None

    @property
    def last(self) -> SeenScreen | None:
        """The screen that was read last."""
        return self._last

    def grab(self) -> Screenshot:
        """Take a screenshot."""
        check_stop(self._desk.stop)
        return self._desk.display.grab()

    def look(self) -> SeenScreen:
        """Take a screenshot and read it; one that is the same as the last is not read again."""
        screenshot = self.grab()
        last = self._last
        if last is not None and is_same_picture(last.screenshot, screenshot):
            return last
        seen = until_stopped(lambda: SeenScreen.of(screenshot, self._eyes.reader), self._desk.stop)
        self._last = seen
        return seen

    def resolve(self, target: Target, seen: SeenScreen) -> Resolution:
        """Look for a target on a screen."""
        return until_stopped(lambda: self._eyes.resolver.resolve(target, seen), self._desk.stop)

    def find(self, target: Target, timeout_s: float) -> Found:
        """Look for a target until it is found, or for `timeout_s` seconds."""
        search = _Search(self, target)
        self.wait_for(search.is_over, timeout_s)
        return search.found()

    def find_steady(self, target: Target, timeout_s: float) -> Found:
        """Look for a target, and make sure that it has not moved since; raises `Unsure`."""
        looks = 0
        for _ in range(self._pace.looks):
            found = self.find(target, timeout_s)
            looks += found.looks
            if not found.resolution.is_found:
                raise Unsure(advice(target, found.resolution), found.resolution)
            now = self.grab()
            if self._eyes.resolver.is_still_there(found.resolution, found.seen, now):
                return Found(found.seen, found.resolution, looks, now)
        raise Unsure(
            f"{target.name!r} was somewhere else, or covered, each time right before it was to be used "
            f"({self._pace.looks} times). Look at what moves on the screen.",
            found.resolution,
        )

    def is_still_there(self, found: Found, now: Screenshot) -> bool:
        """Whether a target is where it was found."""
        return self._eyes.resolver.is_still_there(found.resolution, found.seen, now)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds; returns whether it does."""
        pace = self._pace
        deadline_s = pace.clock() + timeout_s
        while not condition():
            if pace.clock() >= deadline_s:
                return False
            self.rest(min(pace.poll_s, deadline_s - pace.clock()))
        return True

    def rest(self, duration_s: float) -> None:
        """Let time go by."""
        until_s = self._pace.clock() + duration_s
        while (left_s := until_s - self._pace.clock()) > 0:
            check_stop(self._desk.stop)
            self._pace.sleep(min(left_s, NOTICE_S))
        check_stop(self._desk.stop)


class _Search:
    """A search for a target on one screen after the other."""

    def __init__(self, looker: Looker, target: Target) -> None:
        self._looker = looker
        self._target = target
        self._seen = looker.look()
        self._resolution = looker.resolve(target, self._seen)
        self._looks = 1

    def is_over(self) -> bool:
        """Look again, unless nothing has changed; returns whether the target is found."""
        if not self._resolution.is_found:
            seen = self._looker.look()
            if seen is not self._seen:
                self._seen, self._resolution = seen, self._looker.resolve(self._target, seen)
                self._looks += 1
        return self._resolution.is_found

    def found(self) -> Found:
        """What came of it."""
        return Found(self._seen, self._resolution, self._looks, self._seen.screenshot)


def is_same_picture(one: Screenshot, other: Screenshot) -> bool:
    """Whether two screenshots are the same to the last pixel."""
    return (one.origin, one.title) == (other.origin, other.title) and np.array_equal(one.pixels, other.pixels)


def has_changed(before: Screenshot, after: Screenshot, without: Box | None = None) -> bool:
    """Whether something happened on a screen besides at a box, whose looks change when it is pointed at."""
    if before.pixels.shape != after.pixels.shape or before.title != after.title:
        return True
    differs = _differs(before.pixels, after.pixels)
    if without is not None:
        left, top = max(without.left - _AROUND_PX, 0), max(without.top - _AROUND_PX, 0)
        differs[top : without.bottom + _AROUND_PX, left : without.right + _AROUND_PX] = False
    return float(differs.mean()) > _CHANGED_SHARE


def is_inside_kept(before: Screenshot, after: Screenshot, box: Box) -> bool:
    """Whether what a box frames is still to be seen: a focus changes the frame, sets a caret, and takes a hint away."""
    inner = Box(box.left + _FRAME_PX, box.top + _FRAME_PX, box.width - 2 * _FRAME_PX, box.height - 2 * _FRAME_PX)
    if min(inner.width, inner.height) <= 0:
        return False
    then, now = before.crop(inner), after.crop(inner)
    return then.shape == now.shape and float(_differs(then, now).mean()) <= _CHANGED_INSIDE


def _differs(then: Pixels, now: Pixels) -> NDArray[np.bool_]:
    return np.asarray((np.abs(then.astype(np.int16) - now) > _CHANGED_LEVELS).any(axis=2))


def advice(target: Target, resolution: Resolution) -> str:
    """Say what a person should look at if a target was not found."""
    name = repr(target.name)
    look = {
        "absent": f"{name} is not on the screen. Look whether it is there, or looks different now.",
        "ambiguous": f"More than one thing could be {name}. Look which it is, and record it anew.",
        "wrong_screen": f"This is not the screen on which {name} was recorded. Look which screen is shown.",
        "occluded": f"Something covers {name}. Look what lies over it, a dialog for example.",
        "degraded": f"{name} cannot be told without what is missing. Look at the worker and its VLM.",
    }
    return f"{look[resolution.status]} ({resolution.why})"
