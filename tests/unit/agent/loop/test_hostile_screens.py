"""What happens on a desktop by itself: the loop ends right, or stops and says why. It never clicks elsewhere."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from singletrack.agent.report.model import RunOutcome, StepOutcome
from singletrack.agent.screen.ports import MouseButton
from singletrack.agent.targets.geometry import Point
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.steps import CheckStep, ClickStep, StepExpectation, TypeStep, WaitStep
from tests.unit.agent.loop.forms import SAVED_TEXT, Bench, Hooked, flow, script

SAVE = ClickStep(target=Target(text="Save record"), expect=StepExpectation(seen=(SAVED_TEXT,)), timeout_s=5)


def later(bench: Bench, grabs: int, change: Callable[[], None]) -> None:
    """Let something happen before the n-th screenshot."""
    bench.desktop.on_grab = lambda: change() if bench.desktop.grabs == grabs else None


def test_a_dialog_over_the_target_stops_the_run(bench: Bench) -> None:
    bench.desktop.show("covered")
    report = bench.loop.run(flow(SAVE))
    assert report.outcome is RunOutcome.UNSURE
    assert bench.desktop.received == []
    assert report.steps[0].picture is not None


def test_a_dialog_that_comes_right_before_the_click_is_seen(bench: Bench) -> None:
    later(bench, 2, lambda: bench.desktop.show("covered"))
    report = bench.loop.run(flow(SAVE))
    assert report.outcome is RunOutcome.UNSURE
    assert bench.desktop.received == []


def test_a_dialog_that_goes_away_is_waited_for(bench: Bench) -> None:
    bench.desktop.show("covered")
    later(bench, 3, lambda: bench.desktop.show("form"))
    report = bench.loop.run(flow(SAVE))
    assert report.outcome is RunOutcome.COMPLETED
    assert bench.desktop.strays == ()


def test_a_target_that_keeps_moving_is_not_clicked(bench: Bench) -> None:
    def flicker() -> None:
        bench.desktop.show("covered" if bench.desktop.grabs % 2 == 0 else "form")

    bench.desktop.on_grab = flicker
    report = bench.loop.run(flow(SAVE))
    assert report.outcome is RunOutcome.UNSURE
    assert "Look at what moves" in report.why
    assert bench.desktop.received == []


def test_another_screen_stops_the_run(bench: Bench) -> None:
    bench.desktop.show("other")
    report = bench.loop.run(flow(SAVE, SAVE))
    assert report.outcome is RunOutcome.UNSURE
    assert "Look" in report.why
    assert [step.outcome for step in report.steps] == [StepOutcome.STOPPED, StepOutcome.NOT_REACHED]
    assert bench.desktop.received == []


def test_another_window_that_takes_the_focus_gets_no_text(pictures: Path, stop: threading.Event) -> None:
    class Stolen(Hooked):
        """Another window comes in front as soon as something is clicked."""

        def click(self, point: Point, button: MouseButton = MouseButton.LEFT, count: int = 1) -> None:
            super().click(point, button, count)
            self.show("other")

    bench = Bench(Stolen(script(), pictures), stop)
    report = bench.loop.run(flow(TypeStep(into=Target(text="Your name"), text="for nobody else")))
    assert report.outcome is RunOutcome.UNSURE
    assert "'Player' has the focus, not 'Form'" in report.why
    assert [one.kind for one in bench.desktop.received] == ["click"]


def test_a_field_that_is_covered_after_the_click_gets_no_text(pictures: Path, stop: threading.Event) -> None:
    class Covered(Hooked):
        """A window of the same title comes in front as soon as something is clicked."""

        def click(self, point: Point, button: MouseButton = MouseButton.LEFT, count: int = 1) -> None:
            super().click(point, button, count)
            self.show("saved")

    bench = Bench(Covered(script(), pictures), stop)
    report = bench.loop.run(flow(TypeStep(into=Target(text="Your name"), text="for nobody else")))
    assert report.outcome is RunOutcome.UNSURE
    assert "is not to be seen after the click" in report.why
    assert [one.kind for one in bench.desktop.received] == ["click"]


def test_a_stop_before_the_run_ends_it_before_anything_is_done(bench: Bench, stop: threading.Event) -> None:
    stop.set()
    report = bench.loop.run(flow(SAVE))
    assert report.outcome is RunOutcome.STOPPED_BY_PERSON
    assert bench.desktop.received == []


@pytest.mark.parametrize("grabs", [1, 2])
def test_a_stop_right_before_the_click_is_obeyed(bench: Bench, stop: threading.Event, grabs: int) -> None:
    later(bench, grabs, stop.set)
    report = bench.loop.run(flow(SAVE, SAVE))
    assert report.outcome is RunOutcome.STOPPED_BY_PERSON
    assert [step.outcome for step in report.steps] == [StepOutcome.STOPPED, StepOutcome.NOT_REACHED]
    assert bench.desktop.received == []


def test_a_stop_during_a_wait_ends_it(bench: Bench, stop: threading.Event) -> None:
    later(bench, 4, stop.set)
    wait = WaitStep(target=Target(text="Never there"), timeout_s=3600)
    report = bench.loop.run(flow(wait))
    assert report.outcome is RunOutcome.STOPPED_BY_PERSON
    assert bench.clock.now_s < 60


def test_a_check_that_fails_stops_the_run(bench: Bench) -> None:
    for step in (CheckStep(text="Overdue", timeout_s=2), CheckStep(text="Save record", there=False, timeout_s=2)):
        report = bench.loop.run(flow(step, SAVE))
        assert report.outcome is RunOutcome.UNSURE
        assert "Look at what the screen says" in report.why
    assert bench.desktop.received == []


def test_that_a_target_is_gone_is_not_taken_from_another_reason(bench: Bench) -> None:
    """Two of a name cannot be told apart: that is not the same as none."""
    bench.desktop.show("other")
    report = bench.loop.run(flow(CheckStep(target=Target(text="Volume"), there=False, timeout_s=2)))
    assert report.outcome is RunOutcome.UNSURE
    assert "It is not sure that 'Volume' is gone" in report.why


def test_a_stop_while_a_long_text_is_typed_is_obeyed(pictures: Path, stop: threading.Event) -> None:
    class Pressed(Hooked):
        """A person stops it as soon as something is typed."""

        def type_text(self, text: str) -> None:
            super().type_text(text)
            stop.set()

    bench = Bench(Pressed(script(), pictures), stop)
    report = bench.loop.run(flow(TypeStep(into=Target(text="Your name"), text="word " * 500)))
    assert report.outcome is RunOutcome.STOPPED_BY_PERSON
    assert 0 < len(bench.desktop.typed["name"]) <= 100


def test_a_long_text_is_typed_whole(bench: Bench) -> None:
    text = "".join(chr(ord("a") + index % 26) for index in range(333))
    bench.loop.run(flow(TypeStep(into=Target(text="Your name"), text=text, read_back=False)))
    assert bench.desktop.typed == {"name": text}
