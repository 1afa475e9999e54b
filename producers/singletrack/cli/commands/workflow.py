"""`singletrack workflow`: workflows that are run, checked, and recorded."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from singletrack.agent.errors import MissingExtra
from singletrack.cli.context import JsonOption, client_of
from singletrack.cli.failure import EXIT_PERMANENT
from singletrack.cli.interrupts import ended_by_signals, stopped_by_signals
from singletrack.cli.output import console, one_line, print_json, show_warning

if TYPE_CHECKING:
    from singletrack.agent.desktop.display import RealDisplay
    from singletrack.agent.loop.parts import Desk
    from singletrack.agent.report.model import RunReport, StepReport
    from singletrack.agent.screen.ports import StopSignal
    from singletrack.agent.workflow.model import Workflow

EXIT_STOPPED_BY_PERSON = 130
_SEEING = "pip install 'singletrack[agent]'"
# Modules of the extra `agent`.
_OF_THE_EXTRA = {"cv2", "faster_paddle", "rapidfuzz", "yaml"}

FileArgument = Annotated[Path, typer.Argument(metavar="WORKFLOW", help="A workflow's YAML file.")]
ScriptedOption = Annotated[
    Path | None,
    typer.Option("--scripted", help="Run on a desktop made of pictures, from the desktop.json in this folder."),
]
MonitorOption = Annotated[int, typer.Option(min=0, help="Which monitor, 0 for all of them.")]

workflow = typer.Typer(no_args_is_help=True, help="Workflows: what an agent clicks and types, found by sight.")


@workflow.command()
def run(
    context: typer.Context,
    file: FileArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look for the targets on the screen as it is, touch nothing.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write report.json and report.html into this folder.")] = None,
    scripted: ScriptedOption = None,
    monitor: MonitorOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow on this desktop; Esc, the pointer in a corner, or Ctrl-C stops it.

    Exit status: 0 all done, 1 stopped because a step was unsure, 2 a workflow that cannot be run or a report that
    cannot be written, 75 no worker, 130 a person's stop.
    """
    with seeing(), ExitStack() as opened:
        from singletrack.agent.loop.assembly import standard_loop
        from singletrack.agent.loop.parts import Surroundings
        from singletrack.agent.report.saving import check_folder
        from singletrack.agent.workflow.loading import load_workflow

        plan = load_workflow(file)
        if report is not None:
            check_folder(report)
        stop = opened.enter_context(stopped_by_signals())
        desk = opened.enter_context(_desk(scripted, monitor, stop))
        client = opened.enter_context(client_of(context))
        say = _say_nothing if as_json else _say_step
        made = standard_loop(desk, client, surroundings=Surroundings(dict(os.environ), say))
        came = made.run(plan, dry_run=dry_run)
    _show(came, report, as_json=as_json)
    raise typer.Exit(_status(came))


@workflow.command()
def check(file: FileArgument) -> None:
    """Check a workflow without a desktop: what is wrong with it, and what it does not prove."""
    with seeing():
        from singletrack.agent.workflow.loading import load_workflow

        plan = load_workflow(file)
    console().print(_plan_table(plan))
    for warning in _warnings(plan):
        show_warning(warning)


@workflow.command()
def record(
    context: typer.Context,
    file: FileArgument,
    name: Annotated[str, typer.Option(help="What the workflow is called.")] = "",
    monitor: MonitorOption = 0,
) -> None:
    """Record a workflow from what you do; F10 ends it, and what is typed between two F9 is kept as a secret's name."""
    with seeing(), ended_by_signals(), ExitStack() as opened:
        from singletrack.agent.desktop.person import PersonWatcher
        from singletrack.agent.loop.assembly import standard_loop, standard_recorder
        from singletrack.agent.workflow.writing import check_new, save_workflow

        check_new(file)
        desk, display = opened.enter_context(_real_desk(monitor))
        client = opened.enter_context(client_of(context))
        recorder = standard_recorder()
        made = standard_loop(desk, client)
        watcher = opened.enter_context(PersonWatcher(display))
        console().print("recording: click and type; F10 ends it")
        recorded = made.record(watcher, recorder, name or file.stem)
        save_workflow(recorded.workflow, file)
    for problem in recorded.problems:
        show_warning(problem)
    console().print(f"{len(recorded.workflow.steps)} steps are in {file}", markup=False)


class _EitherStop:
    """A stop at the desk, or by a signal."""

    def __init__(self, *stops: "StopSignal") -> None:
        self._stops = stops

    def is_set(self) -> bool:
        """Whether one of them is set."""
        return any(stop.is_set() for stop in self._stops)


@contextmanager
def seeing() -> Iterator[None]:
    """Say what to install where a package of the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        raise MissingExtra(f"Seeing a screen needs the package {error.name}: {_SEEING}") from error


@contextmanager
def _desk(scripted: Path | None, monitor: int, stop: threading.Event) -> Iterator["Desk"]:
    from singletrack.agent.loop.parts import Desk

    if scripted is None:
        with _real_desk(monitor) as (desk, _):
            yield Desk(desk.display, desk.hands, _EitherStop(desk.stop, stop))
        return
    from singletrack.agent.desktop.scripted import ScriptedDesktop

    pictures = ScriptedDesktop.load(scripted)
    yield Desk(pictures, pictures, stop)


@contextmanager
def _real_desk(monitor: int) -> Iterator[tuple["Desk", "RealDisplay"]]:
    from singletrack.agent.desktop.real import open_desktop
    from singletrack.agent.loop.parts import Desk

    with open_desktop(monitor) as real:
        yield Desk(real.display, real.hands, real.stop), real.display


def _show(came: "RunReport", folder: Path | None, *, as_json: bool) -> None:
    """Print a report first, then write it: what came of a run is seen even if the disk is full."""
    from singletrack.agent.report.saving import save_report
    from singletrack.agent.report.table import report_table

    print_json(came.model_dump(mode="json")) if as_json else console().print(report_table(came))
    if folder is None:
        return
    saved = save_report(came, folder)
    if not as_json:
        console().print(f"the report is in {saved.page}", markup=False)


def _say_nothing(_step: "StepReport") -> None:
    pass


def _say_step(step: "StepReport") -> None:
    from singletrack.agent.report.words import fits_one_line, verdict

    target = f" {step.target.name}" if step.target else ""
    line = fits_one_line(f"{step.number}. {step.kind}{target}: {verdict(step)}")
    console().print(Text(line, style="dim"))


def _status(report: "RunReport") -> int:
    from singletrack.agent.report.model import RunOutcome, StepOutcome

    if report.outcome is RunOutcome.STOPPED_BY_PERSON:
        return EXIT_STOPPED_BY_PERSON
    is_stopped = any(step.outcome is StepOutcome.STOPPED for step in report.steps)
    return EXIT_PERMANENT if is_stopped else 0


def _plan_table(plan: "Workflow") -> Table:
    from singletrack.agent.workflow.steps import target_of

    table = Table("#", "step", "target", "expects", title=Text(one_line(plan.name)), title_justify="left")
    for number, step in enumerate(plan.steps, 1):
        target, expect = target_of(step), step.expect
        expected = ", ".join((*expect.seen, *(f"{text} gone" for text in expect.gone))) if expect else ""
        table.add_row(
            str(number),
            Text(step.do),
            Text(one_line(target.name if target else step.name)),
            Text(one_line(expected or ("a target" if expect else ""))),
        )
    return table


def _warnings(plan: "Workflow") -> Iterator[str]:
    from singletrack.agent.loop.foresight import needs_vlm
    from singletrack.agent.workflow.steps import ClickStep, PressStep, ScrollStep, target_of

    for number, step in enumerate(plan.steps, 1):
        if isinstance(step, ClickStep | PressStep | ScrollStep) and step.expect is None:
            yield f"step {number} expects nothing: nobody sees whether it had its effect. Give it expect."
        if needs_vlm(step) and target_of(step) is not None:
            yield f"step {number} is found by its description alone: that takes the VLM."
    for name in sorted(plan.secrets - {name for name in plan.secrets if os.environ.get(name)}):
        yield f"the environment has no {name}, which the workflow types: set it before a run."
