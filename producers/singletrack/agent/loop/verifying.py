"""Whether a step had the effect that it expects."""

from singletrack.agent.loop.looking import Looker, has_changed
from singletrack.agent.loop.reading import shows, shows_nothing_like
from singletrack.agent.report.model import Verification, VerifiedAs
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.geometry import Box
from singletrack.agent.workflow.steps import StepExpectation


class Verifier:
    """Compares the screen with what a step expects; `before` is how it was before the step."""

    def __init__(self, looker: Looker, expect: StepExpectation | None, before: SeenScreen) -> None:
        self._looker = looker
        self._expect = expect
        self._before = before
        self._held_before = expect is not None and self._holds(expect, before)

    def verify(self) -> Verification:
        """Wait until what is expected is seen, and say whether it proves anything."""
        expect = self._expect
        if expect is None:
            return Verification(how="the step expects nothing")
        missing = _told(expect)
        if not self._looker.wait_for(lambda: self._holds(expect, self._looker.look()), expect.within_s):
            how = f"not seen within {expect.within_s:g} s: {missing}"
            return Verification(outcome=VerifiedAs.FAILED, how=how)
        if self._held_before:
            return Verification(outcome=VerifiedAs.UNPROVEN, how=f"seen, but before the step already: {missing}")
        return Verification(outcome=VerifiedAs.VERIFIED, how=f"seen: {missing}")

    def nothing_happened(self, without: Box | None = None) -> bool:
        """Whether the screen is as it was before the step, a box left out."""
        return not has_changed(self._before.screenshot, self._looker.grab(), without)

    def _holds(self, expect: StepExpectation, seen: SeenScreen) -> bool:
        if not all(shows(seen, text) for text in expect.seen):
            return False
        if not all(shows_nothing_like(seen, text) for text in expect.gone):
            return False
        return expect.target is None or self._looker.resolve(expect.target, seen).is_found


def _told(expect: StepExpectation) -> str:
    parts = [*map(repr, expect.seen), *(f"{text!r} gone" for text in expect.gone)]
    return ", ".join([*parts, *([repr(expect.target.name)] if expect.target is not None else [])])
