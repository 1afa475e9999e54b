"""What a person does becomes a workflow that does the same."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from singletrack.agent.errors import InvalidWorkflow
from singletrack.agent.loop.recording import RecordedWorkflow
from singletrack.agent.recorder import Recorder
from singletrack.agent.report.model import RunOutcome
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.person import PersonAct, PersonClicked, PersonPressed, PersonScrolled, PersonTyped
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.workflow.loading import load_workflow
from singletrack.agent.workflow.steps import ClickStep, PressStep, ScrollStep, TypeStep, target_of
from singletrack.agent.workflow.writing import save_workflow
from tests.unit.agent.loop.forms import HELP, NAME, ORIGIN, PIN, SAVE, SAVED_TEXT, SECRET, Bench, Hooked, reader, script


@dataclass
class Person:
    """Somebody at a scripted desktop: each act is done there when it is taken from the list."""

    desktop: Hooked
    plan: Sequence[tuple[str, object]]

    def grab(self) -> Screenshot:
        return self.desktop.grab()

    def acts(self) -> Iterator[PersonAct]:
        for kind, what in self.plan:
            yield self._act(kind, what)

    def _act(self, kind: str, what: object) -> PersonAct:
        if isinstance(what, Box):
            before, point = self.desktop.grab(), what.center.moved(ORIGIN.x, ORIGIN.y)
            if kind == "scroll":
                self.desktop.scroll(point, -2)
                return PersonScrolled(before, point, -2)
            self.desktop.click(point)
            return PersonClicked(before, point)
        if kind == "press":
            self.desktop.press(str(what))
            return PersonPressed((str(what),))
        self.desktop.type_text(str(what))
        return PersonTyped("", is_secret=True) if kind == "secret" else PersonTyped(str(what))


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder(Resolver(), reader())


def record(bench: Bench, recorder: Recorder, *plan: tuple[str, object]) -> RecordedWorkflow:
    return bench.loop.record(Person(bench.desktop, plan), recorder, "As shown")


def test_what_is_shown_is_done_again(bench: Bench, recorder: Recorder, pictures: Path, tmp_path: Path) -> None:
    shown = record(bench, recorder, ("click", NAME), ("type", "Ada Lovelace"), ("click", SAVE))
    typed, click = shown.workflow.steps
    assert isinstance(typed, TypeStep)
    assert isinstance(click, ClickStep)
    assert click.expect is not None
    assert SAVED_TEXT in click.expect.seen
    assert shown.problems == ()
    save_workflow(shown.workflow.model_copy(update={"needs_worker": False}), tmp_path / "shown.yaml")
    again = Bench(Hooked(script(), pictures), threading.Event())
    report = again.loop.run(load_workflow(tmp_path / "shown.yaml"))
    assert report.outcome is RunOutcome.COMPLETED, report.why
    assert (again.desktop.typed, again.desktop.state) == ({"name": "Ada Lovelace"}, "saved")
    assert again.desktop.strays == ()


def test_a_secret_is_kept_as_a_name(bench: Bench, recorder: Recorder, tmp_path: Path) -> None:
    shown = record(bench, recorder, ("click", PIN), ("secret", SECRET))
    (typed,) = shown.workflow.steps
    assert isinstance(typed, TypeStep)
    assert typed.secret == "${env:SECRET_1}"
    assert any("set SECRET_1" in problem for problem in shown.problems)
    save_workflow(shown.workflow, tmp_path / "shown.yaml")
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert SECRET.encode() not in written


def test_keys_and_the_wheel_are_kept(bench: Bench, recorder: Recorder) -> None:
    shown = record(bench, recorder, ("scroll", HELP), ("press", "f5"))
    scroll, press = shown.workflow.steps
    assert isinstance(scroll, ScrollStep)
    assert scroll.notches == -2
    assert isinstance(press, PressStep)
    assert press.keys == ("f5",)


def test_a_text_without_a_field_is_left_out_and_said(bench: Bench, recorder: Recorder) -> None:
    shown = record(bench, recorder, ("press", "f5"), ("type", "where to?"))
    assert [step.do for step in shown.workflow.steps] == ["press"]
    assert shown.problems == (
        "step 1: a text was typed without a click into a field before: it is left out. Click the field first.",
    )


def test_a_text_that_looks_like_a_reference_is_left_out_and_said(bench: Bench, recorder: Recorder) -> None:
    shown = record(bench, recorder, ("click", NAME), ("type", "${env:HOME}"))
    assert [step.do for step in shown.workflow.steps] == ["click"]
    assert any("a reference" in problem for problem in shown.problems)


def test_what_the_recorder_doubts_is_said(bench: Bench, recorder: Recorder) -> None:
    """An even patch of the window has nothing to be found again by."""
    shown = record(bench, recorder, ("click", Box(780, 520, 20, 20)))
    assert any(problem.startswith("step 1: ") for problem in shown.problems)
    assert target_of(shown.workflow.steps[0]) is not None


def test_nothing_done_is_no_workflow(bench: Bench, recorder: Recorder) -> None:
    with pytest.raises(InvalidWorkflow, match="Nothing was recorded"):
        record(bench, recorder)


def test_points_are_of_the_desktop(bench: Bench, recorder: Recorder) -> None:
    shown = record(bench, recorder, ("click", SAVE))
    target = target_of(shown.workflow.steps[0])
    assert target is not None
    assert target.anchor is not None
    assert SAVE.contains(target.anchor.box.center)
    assert not SAVE.contains(Point(target.anchor.box.center.x + ORIGIN.x, 0))


def test_a_secret_that_its_field_shows_is_not_expected(bench: Bench, recorder: Recorder, tmp_path: Path) -> None:
    shown = record(bench, recorder, ("click", NAME), ("secret", "correct horse battery"))
    save_workflow(shown.workflow, tmp_path / "shown.yaml")
    assert "horse" not in (tmp_path / "shown.yaml").read_text(encoding="utf-8")
    assert any("the anchors of later steps hold it too" in problem for problem in shown.problems)


def test_what_is_no_step_is_left_out_and_the_rest_is_kept(bench: Bench, recorder: Recorder) -> None:
    shown = record(
        bench,
        recorder,
        ("press", "no_such_key"),
        ("click", Box(5000, 5000, 2, 2)),
        ("click", NAME),
        ("type", "a" * 9000),
    )
    assert [step.do for step in shown.workflow.steps] == ["click"]
    left_out = [problem for problem in shown.problems if "is left out" in problem]
    assert len(left_out) == 3
    assert any("'no_such_key' is no key" in problem for problem in left_out)


def test_a_name_that_is_too_long_is_refused_before_anything_is_done(bench: Bench, recorder: Recorder) -> None:
    with pytest.raises(InvalidWorkflow, match="A workflow's name has 1 to 200 characters"):
        bench.loop.record(Person(bench.desktop, [("press", "f5")]), recorder, "x" * 201)
    assert bench.desktop.received == []
