"""Plays the steps of a workflow, one after the other, and reports each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from singletrack.agent.loop.acting import Actor
from singletrack.agent.loop.answering import Onlooker
from singletrack.agent.loop.looking import Looker, advice
from singletrack.agent.loop.parts import Desk, Eyes
from singletrack.agent.loop.progress import Notes, target_report
from singletrack.agent.loop.stopping import StoppedByPerson, Unsure
from singletrack.agent.loop.values import Values
from singletrack.agent.loop.worker_use import WorkerUse
from singletrack.agent.report.model import StepOutcome, StepReport
from singletrack.agent.report.pictures import place_picture, whole_picture
from singletrack.agent.targets.resolution import Resolution
from singletrack.agent.workflow.steps import (
    AskStep,
    CheckStep,
    ClickStep,
    PressStep,
    ScrollStep,
    TypeStep,
    WaitStep,
    WorkflowStep,
    target_of,
)
from singletrack_tasks.errors import SingletrackError


@dataclass(frozen=True)
class Stage:
    """What a run plays with."""

    desk: Desk
    eyes: Eyes
    looker: Looker
    worker: WorkerUse
    values: Values


class StepPlayer:
    """Plays single steps; what goes wrong is part of the report."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._actor = Actor(stage.desk, stage.eyes, stage.looker, stage.values)
        self._observer = Onlooker(stage.looker, stage.worker, stage.values, stage.desk.stop)
        self.stopped_by_person = False

    def play(self, number: int, step: WorkflowStep) -> StepReport:
        """Do a step."""
        return self._reported(number, step, StepOutcome.DONE, self._do)

    def plan(self, number: int, step: WorkflowStep) -> StepReport:
        """Look for a step's target on the screen as it is, and touch nothing."""
        return self._reported(number, step, StepOutcome.PLANNED, self._look_only)

    def _reported(
        self, number: int, step: WorkflowStep, good: StepOutcome, do: Callable[[WorkflowStep, Notes], None]
    ) -> StepReport:
        notes, began_s = Notes(), time.monotonic()
        outcome, why = good, ""
        try:
            do(step, notes)
        except StoppedByPerson as error:
            self.stopped_by_person = True
            outcome, why = StepOutcome.STOPPED, error.message
        except SingletrackError as error:
            outcome, why = StepOutcome.STOPPED, _why(error)
            if isinstance(error, Unsure) and error.resolution is not None:
                _note_missed(notes, step, error.resolution)
        return self._report(number, step, notes, (outcome, why), 1000 * (time.monotonic() - began_s))

    def _do(self, step: WorkflowStep, notes: Notes) -> None:
        match step:
            case ClickStep():
                self._actor.click(step, notes)
            case TypeStep():
                self._actor.type_text(step, notes)
            case PressStep():
                self._actor.press(step, notes)
            case ScrollStep():
                self._actor.scroll(step, notes)
            case WaitStep():
                self._observer.wait(step, notes)
            case CheckStep():
                self._observer.check(step, notes)
            case AskStep():
                self._observer.ask(step, notes)

    def _look_only(self, step: WorkflowStep, notes: Notes) -> None:
        target = target_of(step)
        if target is None:
            return
        found = self._stage.looker.find(target, 0.0)
        notes.note_found(target, found)
        if not found.resolution.is_found:
            raise Unsure(advice(target, found.resolution), found.resolution)

    def _report(
        self, number: int, step: WorkflowStep, notes: Notes, end: tuple[StepOutcome, str], took_ms: float
    ) -> StepReport:
        spent = self._stage.worker.take_spent()
        reader = self._stage.eyes.reader.name if notes.target else ""
        models = dict.fromkeys(name for name in (reader, *spent.models) if name)
        report = StepReport(
            number=number,
            kind=getattr(step, "do", ""),
            name=step.name,
            outcome=end[0],
            why=end[1],
            target=notes.target,
            verification=notes.verification,
            retries=notes.retries,
            took_ms=took_ms,
            queued_ms=min(spent.queued_ms, took_ms),
            models=tuple(models),
            degraded=tuple(dict.fromkeys(spent.degraded)),
            answer=notes.answer,
        )
        return redacted(report, self._stage.values).model_copy(update={"picture": self._picture(notes, end[0])})

    def _picture(self, notes: Notes, outcome: StepOutcome) -> bytes | None:
        if notes.place is not None:
            found, box, point = notes.place
            return place_picture(found.seen.screenshot, box, point, self._stage.values.hidden(found.seen))
        last = self._stage.looker.last
        if outcome is not StepOutcome.STOPPED or last is None:
            return None
        return whole_picture(last.screenshot, self._stage.values.hidden(last))


def unreached(number: int, step: WorkflowStep) -> StepReport:
    """Report a step that was not come to."""
    target = target_of(step)
    name = step.name or (target.name if target is not None else "")
    return StepReport(number=number, kind=getattr(step, "do", ""), name=name, outcome=StepOutcome.NOT_REACHED)


def redacted(report: StepReport, values: Values) -> StepReport:
    """Return a report without secrets in any of its texts."""
    return StepReport.model_validate(_redact(report.model_dump(), values))


def _redact(value: object, values: Values) -> object:
    if isinstance(value, str) and not isinstance(value, StrEnum):
        return values.redact(value)
    if isinstance(value, dict):
        return {key: _redact(inner, values) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_redact(inner, values) for inner in value)
    return value


def _why(error: SingletrackError) -> str:
    return error.message if isinstance(error, Unsure) else f"{type(error).__name__}: {error.message}"


def _note_missed(notes: Notes, step: WorkflowStep, resolution: Resolution) -> None:
    target = target_of(step)
    if target is not None and (notes.target is None or not resolution.is_found):
        notes.target = target_report(target, resolution, notes.target.looks if notes.target else 1)
        notes.place = None if not resolution.is_found else notes.place
