"""The steps that act: each looks right before it acts, and again afterwards."""

import sys
from collections.abc import Callable
from dataclasses import replace

from singletrack.agent.desktop.typable import check_typable
from singletrack.agent.loop.looking import Found, Looker, has_changed, is_inside_kept
from singletrack.agent.loop.parts import Desk, Eyes
from singletrack.agent.loop.progress import Notes
from singletrack.agent.loop.reading import field_box, hidden_box, is_read_back, read_field, told
from singletrack.agent.loop.stopping import Unsure, check_stop
from singletrack.agent.loop.values import Values
from singletrack.agent.loop.verifying import Verifier
from singletrack.agent.report.model import Verification, VerifiedAs
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.targets.target import Target
from singletrack.agent.words.reader import TextLine
from singletrack.agent.workflow.steps import ClickStep, PressStep, ScrollStep, TypeStep, WorkflowStep

_READ_WITHIN_S = 5.0
# What is typed in about a second.
_PIECE_CHARS = 50


# What selects all of a field: the usual way, and one for toolkits in which that is another key.
_SELECTIONS = ((("cmd" if sys.platform == "darwin" else "ctrl", "a"),), (("end",), ("shift", "home")))


class Actor:
    """Clicks, types, presses and scrolls."""

    def __init__(self, desk: Desk, eyes: Eyes, looker: Looker, values: Values) -> None:
        self._desk = desk
        self._eyes = eyes
        self._looker = looker
        self._values = values

    def click(self, step: ClickStep, notes: Notes) -> None:
        """Click a target, and see what comes of it; raises `Unsure`."""

        def act() -> tuple[Verifier, Box | None]:
            found = self._find(step.target, step, notes)
            verifier = Verifier(self._looker, step.expect, found.seen)
            self._click(found, step)
            return verifier, found.resolution.box

        self._with_retries(step, notes, act, f"the click on {step.target.name!r}")

    def press(self, step: PressStep, notes: Notes) -> None:
        """Press keys, and see what comes of it; raises `Unsure`."""

        def act() -> tuple[Verifier, Box | None]:
            verifier = Verifier(self._looker, step.expect, self._looker.look())
            check_stop(self._desk.stop)
            self._desk.hands.press(*step.keys)
            return verifier, None

        self._with_retries(step, notes, act, "+".join(step.keys))

    def scroll(self, step: ScrollStep, notes: Notes) -> None:
        """Turn the wheel over a target, and see what comes of it; raises `Unsure`."""

        def act() -> tuple[Verifier, Box | None]:
            found = self._find(step.at, step, notes)
            verifier = Verifier(self._looker, step.expect, found.seen)
            point = _point_of(found)
            check_stop(self._desk.stop)
            self._desk.hands.scroll(found.now.on_desktop(point), step.notches)
            return verifier, None

        self._with_retries(step, notes, act, f"the wheel over {step.at.name!r}")

    def type_text(self, step: TypeStep, notes: Notes) -> None:
        """Type into a field and read it back; raises `Unsure`."""
        found = self._find(step.into, step, notes)
        verifier = Verifier(self._looker, step.expect, found.seen)
        for attempt in range(step.retries + 1):
            notes.retries = attempt
            notes.verification = self._type_once(step, found, is_retry=attempt > 0)
            # What is there cannot be replaced without `clear`: typing again would add to it.
            if notes.verification.outcome is not VerifiedAs.FAILED or not step.clear or attempt == step.retries:
                break
            found = self._again(step, found, notes)
        if notes.verification.outcome is VerifiedAs.FAILED:
            raise Unsure(f"The text is not as typed: {notes.verification.how}. Look at {step.into.name!r}.")
        if step.expect is not None:
            notes.verification = verifier.verify()
            _demand(notes.verification, f"typing into {step.into.name!r}")

    def _again(self, step: TypeStep, found: Found, notes: Notes) -> Found:
        """The same field once more: what it says may have been what it was found by."""
        now = self._looker.grab()
        box = field_box(step.into, found.resolution, now)
        if not has_changed(found.now, now, box):
            return replace(found, now=now)
        return self._find(step.into, step, notes)

    def _with_retries(
        self, step: WorkflowStep, notes: Notes, act: Callable[[], tuple[Verifier, Box | None]], what: str
    ) -> None:
        """Act until what is expected is seen; only what had no effect at all is done again."""
        for attempt in range(step.retries + 1):
            notes.retries = attempt
            verifier, box = act()
            notes.verification = verifier.verify()
            if notes.verification.outcome is not VerifiedAs.FAILED or not verifier.nothing_happened(box):
                break
        _demand(notes.verification, what)

    def _find(self, target: Target, step: WorkflowStep, notes: Notes) -> Found:
        found = self._looker.find_steady(target, step.timeout_s)
        notes.note_found(target, found)
        return found

    def _click(self, found: Found, step: ClickStep) -> None:
        check_stop(self._desk.stop)
        self._desk.hands.click(found.now.on_desktop(_point_of(found)), step.button, step.count)

    def _type_once(self, step: TypeStep, found: Found, *, is_retry: bool) -> Verification:
        """Focus a field, type, and read it back."""
        check_stop(self._desk.stop)
        self._desk.hands.click(found.now.on_desktop(_point_of(found)))
        focused = self._focused(step.into, found, is_retry=is_retry)
        box = field_box(step.into, found.resolution, focused)
        is_secret = self._values.is_secret(step.template)
        if is_secret:
            self._values.hide(hidden_box(step.into, found.resolution, focused))
        if step.clear:
            self._select_all(_SELECTIONS[is_retry])
        before = self._looker.grab()
        self._type(self._values.fill(step.template))
        if not step.read_back:
            return Verification(how="not read back, as the step says")
        return self._something_typed(before, box) if is_secret else self._read_back(step, box)

    def _type(self, text: str) -> None:
        """Type in pieces, so that a person's stop is obeyed within a long text."""
        check_typable(text)
        for start in range(0, len(text), _PIECE_CHARS):
            check_stop(self._desk.stop)
            self._desk.hands.type_text(text[start : start + _PIECE_CHARS])

    def _select_all(self, presses: tuple[tuple[str, ...], ...]) -> None:
        for keys in presses:
            check_stop(self._desk.stop)
            self._desk.hands.press(*keys)

    def _focused(self, target: Target, found: Found, *, is_retry: bool) -> Screenshot:
        """Look at the field that was clicked: what is typed must go there. Raises `Unsure`."""
        now = self._looker.grab()
        if found.now.title and now.title and found.now.title != now.title:
            raise Unsure(
                f"After the click on {target.name!r} the window {now.title!r} has the focus, not {found.now.title!r}. "
                "Look at what came in front."
            )
        box = field_box(target, found.resolution, now)
        nothing_else_changed = not has_changed(found.now, now, box)
        # What was typed before has changed the field.
        if not (nothing_else_changed and (is_retry or is_inside_kept(found.now, now, box))):
            again = self._looker.resolve(target, self._looker.look())
            if not again.is_found or again.box is None or not again.box.contains(_point_of(found)):
                raise Unsure(f"{target.name!r} is not to be seen after the click. Look what covers it.", again)
        return now

    def _read_back(self, step: TypeStep, box: Box) -> Verification:
        text = self._values.fill(step.template)
        lines: tuple[TextLine, ...] = ()

        def is_there() -> bool:
            nonlocal lines
            lines = read_field(self._looker.grab(), box, self._eyes.reader)
            return is_read_back(text, lines, box, is_whole=step.clear)

        if self._looker.wait_for(is_there, _READ_WITHIN_S):
            return Verification(outcome=VerifiedAs.VERIFIED, how=f"read back: {told(lines)}")
        return Verification(outcome=VerifiedAs.FAILED, how=f"{text!r} was typed, the field shows {told(lines)!r}")

    def _something_typed(self, screenshot: Screenshot, box: Box) -> Verification:
        """Of a secret only that the field looks different."""
        before = screenshot.crop(box)

        def is_different() -> bool:
            after = self._looker.grab().crop(box)
            return before.shape != after.shape or bool((before != after).any())

        if self._looker.wait_for(is_different, _READ_WITHIN_S):
            return Verification(outcome=VerifiedAs.VERIFIED, how="a secret was typed: the field shows something new")
        return Verification(outcome=VerifiedAs.FAILED, how="a secret was typed, and the field shows nothing new")


def _point_of(found: Found) -> Point:
    point = found.resolution.point
    if point is None:
        raise Unsure(f"Nothing was found to act on: {found.resolution.why}", found.resolution)
    return point


def _demand(verification: Verification, what: str) -> None:
    if verification.outcome is VerifiedAs.FAILED:
        raise Unsure(f"After {what}: {verification.how}. Look at what the screen shows instead.")
