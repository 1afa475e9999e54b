"""Workflows on a desktop of pictures through a real worker: they end right, or stop; they never click elsewhere."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from singletrack import Client
from singletrack.agent.desktop.scripted import ScriptedDesktop
from singletrack.agent.desktop.scripted.script import DesktopScript, ScriptedPatch
from singletrack.agent.loop.assembly import standard_loop
from singletrack.agent.loop.execution_loop import ExecutionLoop
from singletrack.agent.loop.parts import Desk, Surroundings
from singletrack.agent.report.model import RunOutcome, RunReport, StepOutcome, StepReport, VerifiedAs
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box
from singletrack.agent.targets.resolution import Method
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.loading import load_workflow
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import AnyStep, AskStep, ClickStep, TypeStep, WaitStep
from singletrack_ops.stand_in.mishaps import Mishap
from singletrack_tasks.errors import NoWorker, RedisUnavailable
from singletrack_tasks.events import VlmIntentEnded
from singletrack_tasks.status import ExecutionMode, ModelState
from tests.addresses import SILENT_REDIS
from tests.integration.agent.scripted_vlm import MODEL, SAMPLES, ScriptedVlm, scripted_vlm
from tests.integration.worker_tools import events_since, last_event_id

FOLDER = SAMPLES / "workflow"
TYPED = {
    "search": "invoice",
    "purchase-order": "PO-4711",
    "reference": "Q1/2026",
    "note": "Please approve by Friday, two boxes were damaged",
}
CLICKED = [
    "task-files", "search", "file-infile", "open", "purchase-order", "reference", "note", "needs-approval", "submit",
    "filter", "edit-30908", "tab-returns",
]  # fmt: skip


class Watched(ScriptedDesktop):
    """Calls something before each screenshot: what happens on a desktop by itself."""

    grabs = 0
    on_grab: Callable[[int], None] = staticmethod(lambda _grabs: None)

    def grab(self) -> Screenshot:
        self.grabs += 1
        self.on_grab(self.grabs)
        return super().grab()


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory, redis_url: str, tiny_clip: Path) -> Iterator[ScriptedVlm]:
    names = json.loads((FOLDER / "names.json").read_text(encoding="utf-8"))
    folder = tmp_path_factory.mktemp("workflows")
    with scripted_vlm(folder, redis_url, "workflows", tiny_clip, names=names) as running:
        yield running


@pytest.fixture
def client(vlm: ScriptedVlm) -> Client:
    """Its mode is IDLE, and the VLM is not loaded."""
    vlm.answers.follow([])
    vlm.client.set_mode("IDLE")
    vlm.client.ensure_vlm_unloaded()
    return vlm.client


@pytest.fixture(scope="module")
def reference() -> Workflow:
    return load_workflow(FOLDER / "workflow.yaml")


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def loop_at(desktop: ScriptedDesktop, stop: threading.Event, client: Client | None, **more: object) -> ExecutionLoop:
    surroundings = Surroundings(**more)  # type: ignore[arg-type] # fields of its own
    return standard_loop(Desk(desktop, desktop, stop), client, surroundings=surroundings)


def desktop_in(state: str, *patches: ScriptedPatch) -> Watched:
    """The reference desktop in a state, something painted over that."""
    script = DesktopScript.load(FOLDER / "desktop.json")
    states = tuple(
        one.model_copy(update={"patches": (*one.patches, *patches)}) if one.name == state else one
        for one in script.states
    )
    desktop = Watched(script.model_copy(update={"states": states}), FOLDER)
    desktop.show(state)
    return desktop


def named(workflow: Workflow, name: str) -> AnyStep:
    (step,) = (step for step in workflow.steps if step.name == name)
    return step.model_copy(update={"timeout_s": 1.0})


def flow(*steps: AnyStep) -> Workflow:
    return Workflow(name="part of it", steps=steps)


def steps_of(report: RunReport, kind: str) -> list[StepReport]:
    return [step for step in report.steps if step.kind == kind]


def test_the_reference_workflow(client: Client, vlm: ScriptedVlm, reference: Workflow, stop: threading.Event) -> None:
    modes: list[ExecutionMode] = []
    loaded: list[bool] = []

    def told(_step: StepReport) -> None:
        modes.append(client.status().mode)
        loaded.append(bool(vlm.server.loaded))

    desktop = ScriptedDesktop.load(FOLDER)
    report = loop_at(desktop, stop, client, on_step=told).run(reference)
    assert report.outcome is RunOutcome.COMPLETED, report.why
    assert (desktop.typed, desktop.state, desktop.strays) == (TYPED, "orders-returns", ())
    clicked = [one.hit for one in desktop.received if one.kind == "click"]
    assert clicked == [name.replace("file-infile", "file-invoice-entry-webm") for name in CLICKED]
    clicks = [step.target for step in steps_of(report, "click")]
    methods = [target.method for target in clicks if target]
    assert (len(clicks), len(steps_of(report, "type"))) == (8, 4)
    assert {*methods} == set(Method)
    assert methods.count(Method.SOM_VLM) == 1
    assert all(step.verification.outcome is VerifiedAs.VERIFIED for step in report.steps)
    assert report.retries == 0
    # The VLM came for the one step that needed it, and for none before.
    funnel = next(number for number, step in enumerate(report.steps) if MODEL in step.models)
    assert loaded.index(True) == funnel
    assert report.steps[funnel].queued_ms > 0
    assert set(modes) == {ExecutionMode.AUTOPILOT}
    assert client.status().mode is ExecutionMode.IDLE
    assert report.mode_before == "IDLE"


def test_a_dry_run_changes_nothing(client: Client, reference: Workflow, stop: threading.Event) -> None:
    client.ensure_vlm_unloaded()
    desktop = ScriptedDesktop.load(FOLDER)
    described = ClickStep(target=Target(description="the funnel above the table"), timeout_s=1.0)
    steps = flow(named(reference, "open the file manager"), described)
    report = loop_at(desktop, stop, client).run(steps, dry_run=True)
    assert report.steps[0].outcome is StepOutcome.PLANNED
    assert "a dry run asks no VLM" in report.steps[1].why
    assert (desktop.received, desktop.state) == ([], "settings")
    assert client.status().vlm.state is ModelState.UNLOADED
    assert client.status().mode is ExecutionMode.IDLE


SUBMIT = Box(2271, 1455, 253, 64)
DIALOG = ScriptedPatch(box=Box(1800, 1380, 760, 200), fill="#ffffff", text="Saving. Please wait.")
GREYED = ScriptedPatch(box=SUBMIT, fill="#ffffff")


@pytest.mark.parametrize(
    ("state", "patches"), [("invoice", (DIALOG,)), ("invoice", (GREYED,)), ("orders", ()), ("settings", ())]
)
def test_what_is_covered_or_gone_or_on_another_screen_is_not_clicked(
    client: Client, reference: Workflow, stop: threading.Event, state: str, patches: tuple[ScriptedPatch, ...]
) -> None:
    desktop = desktop_in(state, *patches)
    report = loop_at(desktop, stop, client).run(flow(named(reference, "submit the invoice")))
    assert report.outcome is RunOutcome.UNSURE
    assert "Look" in report.why
    assert (desktop.received, desktop.state) == ([], state)
    assert client.status().mode is ExecutionMode.IDLE


def test_a_dialog_right_before_the_click_is_seen(client: Client, reference: Workflow, stop: threading.Event) -> None:
    desktop = desktop_in("orders", DIALOG)
    desktop.show("invoice")

    def cover(grabs: int) -> None:
        if grabs == 2:
            desktop.show("orders")

    desktop.on_grab = cover
    report = loop_at(desktop, stop, client).run(flow(named(reference, "submit the invoice")))
    assert report.outcome is RunOutcome.UNSURE
    assert desktop.received == []


def test_a_text_that_is_cut_by_its_field_stops_the_run(
    client: Client, reference: Workflow, stop: threading.Event
) -> None:
    script = DesktopScript.load(FOLDER / "desktop.json")
    states = [
        state.model_copy(update={"fields": tuple(one.model_copy(update={"max_chars": 5}) for one in state.fields)})
        for state in script.states
    ]
    desktop = ScriptedDesktop(script.model_copy(update={"states": tuple(states)}), FOLDER)
    desktop.show("invoice")
    submit = named(reference, "submit the invoice")
    report = loop_at(desktop, stop, client).run(flow(named(reference, "enter the purchase order"), submit))
    assert report.outcome is RunOutcome.UNSURE
    assert "'PO-4711' was typed, the field shows 'PO-47'" in report.why
    assert desktop.state == "invoice"


def test_a_stop_ends_it_and_puts_the_mode_back(client: Client, reference: Workflow, stop: threading.Event) -> None:
    desktop = desktop_in("settings")
    desktop.on_grab = lambda grabs: stop.set() if grabs == 2 else None
    report = loop_at(desktop, stop, client).run(reference)
    assert report.outcome is RunOutcome.STOPPED_BY_PERSON
    assert desktop.received == []
    assert client.status().mode is ExecutionMode.IDLE


@pytest.mark.parametrize("mishap", [Mishap.REFUSAL, Mishap.HTTP_500, Mishap.PROSE, Mishap.CUT])
def test_a_vlm_that_gives_no_answer_leads_to_no_click(
    client: Client, vlm: ScriptedVlm, reference: Workflow, stop: threading.Event, mishap: Mishap
) -> None:
    vlm.answers.follow([mishap] * 20)
    desktop = desktop_in("orders")
    report = loop_at(desktop, stop, client).run(flow(named(reference, "filter the table")))
    assert report.outcome is RunOutcome.UNSURE
    assert desktop.received == []


def test_a_vlm_that_cannot_be_loaded_is_said(
    client: Client, vlm: ScriptedVlm, reference: Workflow, stop: threading.Event
) -> None:
    vlm.server.behaviour.failing_loads = 100
    try:
        desktop = desktop_in("orders")
        report = loop_at(desktop, stop, client).run(flow(named(reference, "filter the table")))
    finally:
        vlm.server.behaviour.failing_loads = 0
    assert report.outcome is RunOutcome.UNSURE
    assert any("The VLM is missing" in reason for reason in report.degraded)
    assert desktop.received == []


def test_an_answer_is_typed(client: Client, stop: threading.Event) -> None:
    desktop = desktop_in("invoice")
    schema = {"type": "object", "properties": {"mark": {"enum": [None]}}, "required": ["mark"]}
    ask = AskStep(question='Which of them?\n1: icon "" at 100,100', into="number", answer_schema=schema)
    typed = TypeStep(into=Target(text="Optional"), text="it is ${var:number}")
    report = loop_at(desktop, stop, client).run(flow(ask, typed))
    assert report.outcome is RunOutcome.COMPLETED, report.why
    assert desktop.typed == {"reference": 'it is {"mark": null}'}
    assert report.steps[0].models == (MODEL,)


def test_a_question_is_announced_before_it_is_put(client: Client, stop: threading.Event) -> None:
    since = last_event_id(client)
    desktop = desktop_in("invoice")
    wait = WaitStep(target=Target(text="Submit invoice"))
    report = loop_at(desktop, stop, client).run(flow(wait, AskStep(question="What is it?", into="it")))
    assert report.outcome is RunOutcome.COMPLETED, report.why
    ended = [event.outcome for event in events_since(client, since) if isinstance(event, VlmIntentEnded)]
    assert len(ended) == 1
    assert "withdrawn" not in ended[0]


def test_without_redis_nothing_is_touched(reference: Workflow, stop: threading.Event) -> None:
    desktop = ScriptedDesktop.load(FOLDER)
    with Client(SILENT_REDIS, "nobody") as nobody, pytest.raises((NoWorker, RedisUnavailable)):
        loop_at(desktop, stop, nobody).run(reference)
    assert desktop.received == []


def test_without_redis_what_needs_none_of_it_goes_on(reference: Workflow, stop: threading.Event) -> None:
    desktop = ScriptedDesktop.load(FOLDER)
    first = flow(named(reference, "open the file manager")).model_copy(update={"needs_worker": False})
    with Client(SILENT_REDIS, "nobody") as nobody:
        report = loop_at(desktop, stop, nobody).run(first)
    assert report.outcome is RunOutcome.COMPLETED
    assert report.degraded[0].startswith("no worker: ")
    assert desktop.state == "files"
