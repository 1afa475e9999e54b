"""From what a person does to a workflow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from pydantic import ValidationError

from singletrack.agent.errors import InvalidTarget, InvalidWorkflow
from singletrack.agent.loop.reading import shows
from singletrack.agent.screen.person import (
    PersonAct,
    PersonClicked,
    PersonPressed,
    PersonScrolled,
    PersonTyped,
)
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.seen import SeenScreen
from singletrack.agent.targets.anchor import Anchor
from singletrack.agent.targets.geometry import Point
from singletrack.agent.targets.target import Target
from singletrack.agent.words.comparing import is_telling, text_key
from singletrack.agent.words.reader import TextReader
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import (
    LABEL_CHARS_MAX,
    AnyStep,
    ClickStep,
    PressStep,
    ScrollStep,
    StepExpectation,
    TypeStep,
)

_EXPECTED_MAX = 2
_EXPECTED_CHARS_MIN = 4
_EXPECTED_SCORE = 0.9


class PersonWatching(Protocol):
    """Watches a person; `desktop.person.PersonWatcher` is one."""

    def acts(self) -> Iterator[PersonAct]:
        """What the person does, one by one, until the recording is ended."""

    def grab(self) -> Screenshot:
        """The screen as it is now."""


class AnchorRecording(Protocol):
    """What came of recording an element; `recorder.Recorded` is one."""

    @property
    def anchor(self) -> Anchor:
        """What was recorded."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it may not be found again."""

    @property
    def is_enough(self) -> bool:
        """Whether it finds the element again."""


class AnchorRecorder(Protocol):
    """Records elements; `recorder.Recorder` is one."""

    def record(self, screenshot: Screenshot, point: Point) -> AnchorRecording:
        """Record the element at a pixel of a screenshot."""


@dataclass(frozen=True)
class RecordedWorkflow:
    """A workflow as a person showed it; `problems` says of each step what a person should look at."""

    workflow: Workflow
    problems: tuple[str, ...] = ()


class WorkflowRecording:
    """Turns what a person does into steps."""

    def __init__(self, recorder: AnchorRecorder, reader: TextReader) -> None:
        self._recorder = recorder
        self._reader = reader
        self._steps: list[_Draft] = []
        self._problems: list[str] = []
        self._secrets = 0

    def follow(self, watcher: PersonWatching, name: str) -> RecordedWorkflow:
        """Follow a person until the recording ends; raises `InvalidWorkflow` if nothing was done."""
        if not 0 < len(name) <= LABEL_CHARS_MAX:
            raise InvalidWorkflow(f"A workflow's name has 1 to {LABEL_CHARS_MAX} characters. Choose another one.")
        for act in watcher.acts():
            try:
                self._take(act)
            except (ValidationError, InvalidTarget) as error:
                self._say(f"what was done then is left out: {_reason(error)}")
        if not self._steps:
            raise InvalidWorkflow("Nothing was recorded: no click, no key. Record it again.")
        screens = [*(draft.before for draft in self._steps[1:]), watcher.grab()]
        steps = tuple(self._finished(draft, after) for draft, after in zip(self._steps, screens, strict=True))
        return RecordedWorkflow(Workflow(name=name, steps=steps), tuple(self._problems))

    def _take(self, act: PersonAct) -> None:
        match act:
            case PersonClicked():
                target = self._record(act.before, act.point)
                step: AnyStep = ClickStep(target=target, button=act.button, count=act.count)
                self._steps.append(_Draft(step, act.before))
            case PersonScrolled():
                target = self._record(act.before, act.point)
                self._steps.append(_Draft(ScrollStep(at=target, notches=act.notches), act.before))
            case PersonPressed():
                self._steps.append(_Draft(PressStep(keys=act.keys), None))
            case PersonTyped():
                self._take_typed(act)

    def _take_typed(self, act: PersonTyped) -> None:
        """Make the click before into typing: that is where the text went."""
        last = self._steps[-1] if self._steps else None
        if last is None or not isinstance(last.step, ClickStep):
            self._say("a text was typed without a click into a field before: it is left out. Click the field first.")
            return
        if "${" in act.text:
            self._say("a text with '${' was typed, which a workflow takes for a reference: it is left out.")
        elif act.is_secret:
            self._steps[-1] = replace(last, step=TypeStep(into=last.step.target, secret=self._new_secret()))
        elif act.text:
            self._steps[-1] = replace(last, step=TypeStep(into=last.step.target, text=act.text), typed=act.text)

    def _new_secret(self) -> str:
        self._secrets += 1
        name = f"SECRET_{self._secrets}"
        self._say(
            f"it types a secret: set {name} in the environment, or name another variable. If its field shows it in "
            "clear, the anchors of later steps hold it too: look at their texts and pictures."
        )
        return f"${{env:{name}}}"

    def _record(self, screenshot: Screenshot, point: Point) -> Target:
        here = point.moved(-screenshot.origin.x, -screenshot.origin.y)
        recorded = self._recorder.record(screenshot, here)
        number = len(self._steps) + 1
        for problem in recorded.problems:
            self._say(problem, number)
        if not recorded.is_enough:
            self._say(
                "this is not enough to find it again: give it a description or a text, or record it anew.", number
            )
        return Target(anchor=recorded.anchor)

    def _say(self, problem: str, number: int | None = None) -> None:
        self._problems.append(f"step {number or max(len(self._steps), 1)}: {problem}")

    def _finished(self, draft: "_Draft", after: Screenshot | None) -> AnyStep:
        """A step with what was new on the screen after it; after a secret was typed, that may be the secret."""
        if draft.before is None or after is None or _types_a_secret(draft.step):
            return draft.step
        expected = tuple(self._new_texts(draft.before, after, text_key(draft.typed)))
        return draft.step.model_copy(update={"expect": StepExpectation(seen=expected)}) if expected else draft.step

    def _new_texts(self, earlier: Screenshot, later: Screenshot, typed: str) -> Iterable[str]:
        """Texts that tell that the step had its effect; numbers alone differ from run to run."""
        before, now = SeenScreen.of(earlier, self._reader), SeenScreen.of(later, self._reader)
        new = [
            label
            for label in now.labels
            if label.score >= _EXPECTED_SCORE
            and _is_worth_expecting(label.text)
            and text_key(label.text) not in typed
            and not shows(before, label.text)
        ]
        return [label.text for label in sorted(new, key=lambda label: -label.box.height * len(label.text))][
            :_EXPECTED_MAX
        ]


@dataclass(frozen=True)
class _Draft:
    """A step, and the screen before it."""

    step: AnyStep
    before: Screenshot | None
    typed: str = ""


def _reason(error: ValidationError | InvalidTarget) -> str:
    if isinstance(error, InvalidTarget):
        return error.message
    return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")


def _types_a_secret(step: AnyStep) -> bool:
    return isinstance(step, TypeStep) and bool(step.secret)


def _is_worth_expecting(text: str) -> bool:
    if "${" in text:
        return False
    letters = sum(char.isalpha() for char in text)
    return is_telling(text) and letters >= _EXPECTED_CHARS_MIN and not any(char.isdigit() for char in text)
