"""The ways of looking for a target, one after another."""

from time import perf_counter

from singletrack.agent.marks.chooser import MarkChooser
from singletrack.agent.resolver.by_anchor import by_anchor
from singletrack.agent.resolver.by_choice import Advisers
from singletrack.agent.resolver.by_words import by_words
from singletrack.agent.resolver.looking_again import shows_the_same
from singletrack.agent.resolver.ranking import CropRanker
from singletrack.agent.resolver.rung import Rung
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.resolution import Attempt, Resolution, TargetStatus
from singletrack.agent.targets.target import Target


class Resolver:
    """Looks for targets on screens; the same target on the same screen gives the same result.

    `chooser` is asked where looks and text do not tell; where a screen has more elements than fit on one picture,
    `ranker` tells which of them are most like the recorded one. Both may be None.
    """

    def __init__(self, chooser: MarkChooser | None = None, ranker: CropRanker | None = None) -> None:
        self._advisers = None if chooser is None else Advisers(chooser, ranker)

    def resolve(self, target: Target, seen: SeenScreen) -> Resolution:
        """Look for a target. Raises `InvalidAnchor` if its picture cannot be read."""
        began = perf_counter()
        look = by_words if target.anchor is None else by_anchor
        attempts: list[Attempt] = []
        for outcome in look(target, seen, self._advisers):
            took_ms = (perf_counter() - began) * 1000
            attempts.append(_attempt(outcome, took_ms - sum(one.took_ms for one in attempts)))
            if outcome.status is not None:
                return _resolution(outcome, outcome.status, attempts, took_ms)
        raise AssertionError("a way of looking ended without a status")

    def is_still_there(self, found: Resolution, before: SeenScreen, now: Screenshot) -> bool:
        """Return whether the pixels in and around a found target are still the same; if not, resolve again."""
        return found.box is not None and shows_the_same(found.box, before.screenshot, now)


def _attempt(outcome: Rung, took_ms: float) -> Attempt:
    return Attempt(method=outcome.method, score=outcome.score, took_ms=max(took_ms, 0.0), why=outcome.why)


def _resolution(outcome: Rung, status: TargetStatus, attempts: list[Attempt], took_ms: float) -> Resolution:
    is_found = status is TargetStatus.FOUND
    return Resolution(
        status=status,
        why=outcome.why,
        score=outcome.score if is_found else 0.0,
        method=outcome.method if is_found else None,
        box=outcome.box,
        point=outcome.point,
        attempts=tuple(attempts),
        took_ms=took_ms,
    )
