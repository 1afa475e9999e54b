"""Workflows in windows of real applications, through a real worker: they end right, or stop; never a click elsewhere.

Each application's own record is the judge, and a backdrop's around it, which records what missed.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from singletrack import Client
from singletrack.agent.desktop.real import RealDesktop, open_desktop
from singletrack.agent.loop.assembly import standard_loop, standard_recorder
from singletrack.agent.loop.parts import Desk, Surroundings
from singletrack.agent.report.model import RunOutcome, RunReport, StepOutcome, StepReport, VerifiedAs
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Point
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import ClickStep, StepExpectation, TypeStep
from singletrack_tasks.status import ExecutionMode
from tests.integration.agent.windows import AppWindow, backdrop, form_page, form_window
from tests.integration.agent.x_server import LIMIT_S, XServer
from tests.integration.ops.waiting import wait_for

pytestmark = pytest.mark.ollama

CUSTOMER = {"First name": "Éléonore", "Last name": "Groß", "Street": "Rue des Champs 12", "City": "Liège"}
SAVED = "The customer is saved"
# A place of the desktop where no window is.
ASIDE = Point(1900, 1400)
MAKERS = {"Tk": form_window, "Chromium": form_page}


@dataclass
class Office:
    """A form, what lies around it, and the desktop on which both are."""

    desktop: RealDesktop
    form: AppWindow
    around: AppWindow

    def grab(self) -> Screenshot:
        """A screenshot with the pointer out of the way: what it points at looks different."""
        self.desktop.hands.scroll(ASIDE, 0)
        return self.desktop.display.grab()

    def recorded(self, *names: str) -> Workflow:
        """A workflow that fills in fields of the form and submits it, recorded by pointing at them."""
        recorder, shot = standard_recorder(), self.grab()
        made = {name: recorder.record(shot, self.form.box(name).center) for name in (*names, "Save")}
        assert [name for name, one in made.items() if not one.is_enough] == []
        fields = [
            TypeStep(name=name, into=Target(anchor=made[name].anchor), text=CUSTOMER[name], timeout_s=3)
            for name in names
        ]
        expect = StepExpectation(seen=(SAVED,), within_s=5)
        save = ClickStep(name="Save", target=Target(anchor=made["Save"].anchor), expect=expect, timeout_s=3)
        return Workflow(name="a new customer", steps=(*fields, save))

    def assert_nothing_else_was_touched(self) -> None:
        """Nothing was clicked but what the workflow names, and nothing was typed elsewhere."""
        assert set(self.form.clicked) <= {*CUSTOMER, "Save"}
        assert self.around.record["clicks"] == []
        assert self.around.record["keys"] == 0


@contextmanager
def office(server: XServer, folder: Path, kind: str, scale: float) -> Iterator[Office]:
    with ExitStack() as opened:
        around = opened.enter_context(backdrop(server, folder))
        form = opened.enter_context(MAKERS[kind](server, folder, scale=scale))
        desktop = opened.enter_context(open_desktop())
        yield Office(desktop, form, around)


class Disturbed:
    """A display where something happens right before a later look: between a look and the act that follows."""

    def __init__(self, desktop: RealDesktop) -> None:
        self._desktop = desktop
        self._looks: int | None = None
        self._event: Callable[[], None] = lambda: None
        self.happened = False

    def arm(self, event: Callable[[], None], *, after_looks: int) -> None:
        """Have something happen once, after some more looks."""
        self._event, self._looks = event, after_looks

    def grab(self) -> Screenshot:
        if self._looks == 0:
            self._event()
            self.happened = True
        if self._looks is not None:
            self._looks -= 1
        return self._desktop.display.grab()


def run(
    office: Office,
    workflow: Workflow,
    client: Client,
    display: Disturbed | None = None,
    on_step: Callable[[StepReport], None] = lambda _: None,
) -> RunReport:
    desk = Desk(display or office.desktop.display, office.desktop.hands, office.desktop.stop)
    return standard_loop(desk, client, surroundings=Surroundings(on_step=on_step)).run(workflow)


def reasons(report: RunReport) -> list[str]:
    return [step.why for step in report.steps if step.outcome is StepOutcome.STOPPED]


@pytest.mark.parametrize("scale", [1.0, 1.5], ids=["100 %", "150 %"])
@pytest.mark.parametrize("kind", MAKERS)
def test_a_form_is_filled_in_and_submitted(
    kind: str, scale: float, at_x11: XServer, folder: Path, client: Client
) -> None:
    modes: list[ExecutionMode] = []
    with office(at_x11, folder, kind, scale) as here:
        workflow = here.recorded(*CUSTOMER)
        report = run(here, workflow, client, on_step=lambda _: modes.append(client.status().mode))
        assert report.outcome is RunOutcome.COMPLETED, reasons(report)
        here.form.wait(lambda record: record["submitted"] == [CUSTOMER], f"submitted: {here.form.record}")
        assert here.form.clicked == [*CUSTOMER, "Save"]
        here.assert_nothing_else_was_touched()
    assert {step.verification.outcome for step in report.steps} == {VerifiedAs.VERIFIED}
    assert set(modes) == {ExecutionMode.AUTOPILOT}
    assert client.status().mode is ExecutionMode.IDLE


@pytest.fixture
def tk_office(at_x11: XServer, folder: Path) -> Iterator[Office]:
    with office(at_x11, folder, "Tk", 1.0) as here:
        yield here


def disturbed_run(here: Office, client: Client, event: Callable[[], None], *, step: str, after_looks: int) -> RunReport:
    """Fill in the last two fields and submit; during a step something happens, after some of its looks."""
    workflow, display = here.recorded("Street", "City"), Disturbed(here.desktop)
    names = [one.name for one in workflow.steps]

    def told(done: StepReport) -> None:
        if names[names.index(done.name) + 1 :][:1] == [step]:
            display.arm(event, after_looks=after_looks)

    report = run(here, workflow, client, display, told)
    assert display.happened, "the disturbance took place"
    return report


SUBMITTED = {"First name": "", "Last name": "", "Street": CUSTOMER["Street"], "City": CUSTOMER["City"]}


def test_a_window_that_moves_is_found_again(tk_office: Office, client: Client) -> None:
    def move() -> None:
        tk_office.form.order("move 900 600")

    report = disturbed_run(tk_office, client, move, step="City", after_looks=1)
    assert report.outcome is RunOutcome.COMPLETED, reasons(report)
    tk_office.form.wait(lambda record: record["submitted"] == [SUBMITTED], "the form is submitted")
    assert tk_office.form.clicked == ["Street", "City", "Save"]
    tk_office.assert_nothing_else_was_touched()


def test_a_dialog_over_the_target_is_not_clicked(tk_office: Office, client: Client) -> None:
    report = disturbed_run(tk_office, client, lambda: tk_office.form.order("dialog"), step="Save", after_looks=1)
    assert report.outcome is RunOutcome.UNSURE
    assert "Save" in reasons(report)[0]
    assert tk_office.form.record["submitted"] == []
    assert tk_office.form.clicked == ["Street", "City"]
    tk_office.assert_nothing_else_was_touched()


def test_a_button_that_is_disabled_does_not_count_as_pressed(tk_office: Office, client: Client) -> None:
    report = disturbed_run(tk_office, client, lambda: tk_office.form.order("disable"), step="Save", after_looks=0)
    assert report.outcome is RunOutcome.UNSURE
    assert "Save" in reasons(report)[0]
    assert tk_office.form.record["submitted"] == []
    tk_office.assert_nothing_else_was_touched()


# Before it is looked for, before the click, and after it, before anything is typed.
@pytest.mark.parametrize("after_looks", [0, 1, 2])
def test_nothing_is_typed_into_a_window_that_took_the_focus(
    tk_office: Office, client: Client, after_looks: int
) -> None:
    def steal() -> None:
        tk_office.around.order("steal 1500 900")

    report = disturbed_run(tk_office, client, steal, step="City", after_looks=after_looks)
    tk_office.assert_nothing_else_was_touched()
    is_whole = report.outcome is RunOutcome.COMPLETED
    assert is_whole or reasons(report)
    assert tk_office.form.record["submitted"] == ([SUBMITTED] if is_whole else [])


def test_a_person_stops_it(tk_office: Office, client: Client, at_x11: XServer) -> None:
    def escape() -> None:
        _press_escape(at_x11, tk_office.desktop)

    report = disturbed_run(tk_office, client, escape, step="City", after_looks=1)
    assert report.outcome is RunOutcome.STOPPED_BY_PERSON
    assert tk_office.form.clicked == ["Street"]
    tk_office.assert_nothing_else_was_touched()


def _press_escape(server: XServer, desktop: RealDesktop) -> None:
    subprocess.run(["xdotool", "key", "Escape"], env=server.environ, check=True, timeout=LIMIT_S)
    wait_for(desktop.stop.is_set, "the stop has heard of it", LIMIT_S)
