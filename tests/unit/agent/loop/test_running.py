"""The loop does what a workflow says, and sees what came of it."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from singletrack.agent.desktop.scripted.script import ScriptedMove
from singletrack.agent.errors import InvalidWorkflow
from singletrack.agent.report.model import RunOutcome, StepOutcome, VerifiedAs
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.steps import (
    CheckStep,
    ClickStep,
    PressStep,
    ScrollStep,
    StepExpectation,
    TypeStep,
    WaitStep,
)
from singletrack_tasks.errors import NoWorker
from singletrack_tasks.status import ExecutionMode
from tests.unit.agent.loop.forms import SAVE as SAVE_BOX
from tests.unit.agent.loop.forms import SAVED_TEXT, SECRET, Bench, Hooked, flow, reader, script

SAVE, FIELD, PIN = Target(text="Save record"), Target(text="Your name"), Target(text="Secret pin")
SAVED = StepExpectation(seen=(SAVED_TEXT,), gone=("Save record",))


def test_a_form_is_filled_in_and_sent(bench: Bench) -> None:
    typed = TypeStep(into=FIELD, text="Ada Lovelace, 12", name="the name")
    report = bench.loop.run(flow(typed, ClickStep(target=SAVE, expect=SAVED)))
    assert report.outcome is RunOutcome.COMPLETED
    assert (bench.desktop.typed, bench.desktop.state, bench.desktop.strays) == (
        {"name": "Ada Lovelace, 12"},
        "saved",
        (),
    )
    assert [step.verification.outcome for step in report.steps] == [VerifiedAs.VERIFIED] * 2
    assert [step.retries for step in report.steps] == [0, 0]
    assert report.steps[0].verification.how == "read back: Ada Lovelace, 12"
    assert all(step.picture and step.picture.startswith(b"\xff\xd8") for step in report.steps)
    assert bench.told == list(report.steps)
    assert bench.loop.mode is ExecutionMode.IDLE


def test_other_steps_do_as_they_say(bench: Bench) -> None:
    report = bench.loop.run(
        flow(
            WaitStep(target=SAVE),
            CheckStep(text="details of a customer"),
            CheckStep(text="Now playing", there=False),
            CheckStep(target=Target(text="Pause"), there=False),
            PressStep(keys=("f5",), expect=StepExpectation(target=Target(text="Pause"))),
            CheckStep(target=Target(text="Stop")),
        )
    )
    assert report.outcome is RunOutcome.COMPLETED
    assert bench.desktop.state == "other"
    assert [one.kind for one in bench.desktop.received] == ["press"]


def test_the_wheel_is_turned_over_its_target(bench: Bench) -> None:
    report = bench.loop.run(flow(ScrollStep(at=Target(text="Help"), notches=-2, expect=SAVED)))
    assert report.outcome is RunOutcome.COMPLETED
    assert [(one.kind, one.text) for one in bench.desktop.received] == [("scroll", "-2")]


def test_what_was_there_before_proves_nothing(bench: Bench) -> None:
    expect = StepExpectation(seen=("Customer form",))
    report = bench.loop.run(flow(ClickStep(target=SAVE, expect=expect)))
    assert report.steps[0].verification.outcome is VerifiedAs.UNPROVEN
    assert report.outcome is RunOutcome.COMPLETED


def test_a_click_without_an_effect_is_done_again_and_then_given_up(bench: Bench) -> None:
    report = bench.loop.run(flow(ClickStep(target=Target(text="Help"), expect=SAVED, retries=2)))
    assert report.outcome is RunOutcome.UNSURE
    assert report.steps[0].retries == 2
    assert len(bench.desktop.received) == 3
    assert "Look at what the screen shows instead" in report.why


def test_a_click_with_another_effect_is_not_done_again(pictures: Path, stop: threading.Event) -> None:
    """The button is still there to be clicked: clicking it once more could do harm."""
    elsewhere = ScriptedMove(to="noted", box=SAVE_BOX)
    bench = Bench(Hooked(script(moves=(elsewhere,)), pictures), stop)
    report = bench.loop.run(flow(ClickStep(target=SAVE, expect=SAVED, retries=5)))
    assert report.outcome is RunOutcome.UNSURE
    assert len(bench.desktop.received) == 1


def test_a_text_that_is_not_as_typed_is_typed_again(pictures: Path, stop: threading.Event) -> None:
    class Busy(Hooked):
        """Loses the end of what is typed first, as a busy application does."""

        def type_text(self, text: str) -> None:
            is_first = all(one.kind != "type" for one in self.received)
            super().type_text(text[:-3] if is_first else text)

    bench = Bench(Busy(script(), pictures), stop)
    report = bench.loop.run(flow(TypeStep(into=FIELD, text="Ada Lovelace")))
    assert report.outcome is RunOutcome.COMPLETED
    assert report.steps[0].retries == 1
    assert (bench.desktop.typed, bench.desktop.strays) == ({"name": "Ada Lovelace"}, ())


def test_a_field_whose_toolkit_has_another_key_for_all_is_cleared(pictures: Path, stop: threading.Event) -> None:
    class Emacs(Hooked):
        """Ctrl-A goes to the start of the line, as in Tk: nothing is selected."""

        def press(self, *keys: str) -> None:
            if keys != ("ctrl", "a"):
                super().press(*keys)

    old = script().states[0].fields[0].model_copy(update={"text": "Your name"})
    bench = Bench(Emacs(script(fields=(old,)), pictures), stop)
    report = bench.loop.run(flow(TypeStep(into=FIELD, text="Ada Lovelace")))
    assert report.outcome is RunOutcome.COMPLETED, report.why
    assert report.steps[0].retries == 1
    assert bench.desktop.typed == {"name": "Ada Lovelace"}


def test_a_text_that_goes_nowhere_stops_the_run(bench: Bench) -> None:
    """The caption is no field: the click on it gives no focus."""
    report = bench.loop.run(flow(TypeStep(into=Target(text="Name"), text="Ada Lovelace")))
    assert report.outcome is RunOutcome.UNSURE
    assert "the field shows" in report.why


def test_without_clearing_it_is_not_typed_twice(pictures: Path, stop: threading.Event) -> None:
    short = script().states[0].fields[0].model_copy(update={"max_chars": 8})
    bench = Bench(Hooked(script(fields=(short,)), pictures), stop)
    report = bench.loop.run(flow(TypeStep(into=FIELD, text="Ada Lovelace", clear=False, retries=5)))
    assert report.outcome is RunOutcome.UNSURE
    assert [one.kind for one in bench.desktop.received] == ["click", "type"]


def test_a_text_that_stays_wrong_stops_the_run(pictures: Path, stop: threading.Event) -> None:
    short = script().states[0].fields[0].model_copy(update={"max_chars": 8})
    bench = Bench(Hooked(script(fields=(short,)), pictures), stop)
    report = bench.loop.run(flow(TypeStep(into=FIELD, text="Ada Lovelace"), ClickStep(target=SAVE)))
    assert report.outcome is RunOutcome.UNSURE
    assert "the field shows 'Ada Love'" in report.why
    assert report.steps[1].outcome is StepOutcome.NOT_REACHED
    assert bench.desktop.state == "form"


def test_a_secret_is_typed_and_never_told(bench: Bench) -> None:
    """Not even where a field shows it in clear, and the workflow goes on beside it."""
    wait = WaitStep(target=Target(text=SECRET))
    report = bench.loop.run(flow(TypeStep(into=FIELD, secret="${env:PIN}"), wait, WaitStep(target=PIN)))
    assert report.outcome is RunOutcome.COMPLETED
    assert bench.desktop.typed == {"name": SECRET}
    assert report.steps[0].verification.outcome is VerifiedAs.VERIFIED
    told = report.model_dump_json() + "".join(map(repr, bench.told))
    assert SECRET not in told
    assert "[secret]" in told
    pictures = [step.picture for step in report.steps if step.picture]
    assert len(pictures) == 3
    shown = [line.text for picture in pictures for line in reader().read(pixels_of(picture))]
    assert "Secret pin" in shown
    assert not [text for text in shown if "hunter" in text.lower()]


@pytest.mark.parametrize("secret", ["done", "found", "verified", "som_text_match"])
def test_a_secret_that_is_a_word_of_reports_leaves_them_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setattr("tests.unit.agent.loop.forms.SECRET", secret)
    told = Bench(bench.desktop, threading.Event()).loop.run(flow(TypeStep(into=PIN, secret="${env:PIN}")))
    assert told.steps[0].outcome is not StepOutcome.NOT_REACHED


def pixels_of(jpeg: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def test_a_secret_that_the_environment_lacks_stops_before_anything_is_done(bench: Bench) -> None:
    click = ClickStep(target=SAVE)
    with pytest.raises(InvalidWorkflow, match="The environment has no MISSING"):
        bench.loop.run(flow(click, TypeStep(into=PIN, secret="${env:MISSING}")))
    assert bench.desktop.received == []
    assert bench.desktop.grabs == 0


def test_a_dry_run_looks_and_touches_nothing(bench: Bench) -> None:
    steps = (
        ClickStep(target=SAVE, expect=SAVED),
        TypeStep(into=FIELD, text="a"),
        ClickStep(target=Target(text="None")),
    )
    report = bench.loop.run(flow(*steps, needs_worker=True), dry_run=True)
    assert report.outcome is RunOutcome.DRY_RUN
    assert [step.outcome for step in report.steps] == [StepOutcome.PLANNED, StepOutcome.PLANNED, StepOutcome.STOPPED]
    assert report.steps[0].target is not None
    assert report.steps[0].target.point is not None
    assert bench.desktop.received == []


def test_without_a_worker_that_is_needed_nothing_is_done(bench: Bench) -> None:
    with pytest.raises(NoWorker, match="needs_worker: false"):
        bench.loop.run(flow(ClickStep(target=SAVE), needs_worker=True))
    assert bench.desktop.grabs == 0


def test_without_a_worker_that_is_not_needed_it_says_so(bench: Bench) -> None:
    report = bench.loop.run(flow(ClickStep(target=SAVE, expect=SAVED)))
    assert report.degraded == ("no worker: the run was started without one",)
