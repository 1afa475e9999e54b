"""`ExecutionLoop`: runs a workflow, or records one."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from singletrack.agent.loop.foresight import Foresight
from singletrack.agent.loop.looking import Looker
from singletrack.agent.loop.parts import Desk, Eyes, Pace, Surroundings
from singletrack.agent.loop.playing import Stage, StepPlayer, unreached
from singletrack.agent.loop.recording import AnchorRecorder, PersonWatching, RecordedWorkflow, WorkflowRecording
from singletrack.agent.loop.stopping import StoppedByPerson, until_stopped
from singletrack.agent.loop.values import Values
from singletrack.agent.loop.worker_use import WorkerUse
from singletrack.agent.report.model import RunOutcome, RunReport, StepOutcome, StepReport
from singletrack.agent.workflow.model import Workflow
from singletrack_tasks.status import ExecutionMode


class ExecutionLoop:
    """Runs workflows in AUTOPILOT, records them in RECORDING, rests in IDLE; the track's mode is put back at the end.

    It clicks only what was found, is still there right before the click, and is not covered; it looks again after each
    action, and stops when it is unsure. `worker` is for modes and the VLM; a resolver that may ask the VLM has an
    `OnDemandChooser` with the same `worker`. One run at a time.
    """

    def __init__(
        self,
        desk: Desk,
        eyes: Eyes,
        worker: WorkerUse | None = None,
        *,
        pace: Pace | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._desk = desk
        self._eyes = eyes
        self._worker = worker or WorkerUse(None)
        self._pace = pace or Pace()
        self._surroundings = surroundings or Surroundings()
        self._mode = ExecutionMode.IDLE

    @property
    def mode(self) -> ExecutionMode:
        """What the loop is doing."""
        return self._mode

    def run(self, workflow: Workflow, *, dry_run: bool = False) -> RunReport:
        """Run a workflow, and report.

        A dry run looks for the targets on the screen as it is and touches nothing, modes included. Raises, before
        anything is clicked: `InvalidWorkflow` for a secret that is missing, and the client's errors if the workflow
        needs a worker and there is none. A step that fails, or a person's stop, is in the report.
        """
        values = Values(workflow, self._surroundings.environment)
        clock = _Clock()
        if dry_run:
            # A target that only a VLM could find would load it.
            with self._worker.left_alone("a dry run asks no VLM"):
                return _report(workflow, self._play(workflow, values, dry_run=True), clock, self._worker)
        before: ExecutionMode | None = None
        try:
            with self.in_mode(ExecutionMode.AUTOPILOT, is_needed=workflow.needs_worker) as before:
                played = self._play(workflow, values, dry_run=False)
        except StoppedByPerson:
            played = _Played(
                tuple(unreached(number, step) for number, step in enumerate(workflow.steps, 1)),
                RunOutcome.STOPPED_BY_PERSON,
            )
        return _report(workflow, played, clock, self._worker, before)

    def record(self, watcher: PersonWatching, recorder: AnchorRecorder, name: str) -> RecordedWorkflow:
        """Follow a person, in RECORDING, and return the workflow that was shown.

        A worker is used if there is one. Raises `InvalidWorkflow` if nothing was done.
        """
        with self.in_mode(ExecutionMode.RECORDING, is_needed=False):
            return WorkflowRecording(recorder, self._eyes.reader).follow(watcher, name)

    @contextmanager
    def in_mode(self, mode: ExecutionMode, *, is_needed: bool) -> Iterator[ExecutionMode | None]:
        """Be in a mode, and have the track in it; yields the track's mode before, None without a worker.

        Raises the client's errors if the worker is needed, and `StoppedByPerson`.
        """
        before = self._worker.mode_now(is_needed=is_needed)
        try:
            until_stopped(lambda: self._worker.change_mode(mode), self._desk.stop)
            self._mode = mode
            yield before
        finally:
            self._mode = ExecutionMode.IDLE
            if before is not None and before is not mode:
                self._worker.put_back(before)

    def _play(self, workflow: Workflow, values: Values, *, dry_run: bool) -> "_Played":
        looker = Looker(self._desk, self._eyes, self._pace)
        player = StepPlayer(Stage(self._desk, self._eyes, looker, self._worker, values))
        foresight = Foresight(workflow, self._worker)
        reports: list[StepReport] = []
        goes_on = True
        try:
            for number, step in enumerate(workflow.steps, 1):
                if not goes_on:
                    reports.append(unreached(number, step))
                    continue
                if not dry_run:
                    foresight.look_ahead(number - 1, [report.took_ms for report in reports])
                report = player.plan(number, step) if dry_run else player.play(number, step)
                self._surroundings.on_step(report)
                reports.append(report)
                goes_on = not player.stopped_by_person and (dry_run or report.outcome is StepOutcome.DONE)
        finally:
            foresight.end(sum(report.outcome is not StepOutcome.NOT_REACHED for report in reports))
        return _Played(tuple(reports), _outcome(reports, player, dry_run=dry_run))


@dataclass(frozen=True)
class _Played:
    """The steps of a run, and what came of it."""

    steps: tuple[StepReport, ...]
    outcome: RunOutcome


class _Clock:
    """When a run began."""

    def __init__(self) -> None:
        self.began_unix_s = time.time()
        self._began_s = time.monotonic()

    @property
    def took_ms(self) -> float:
        """How long ago that was."""
        return 1000 * (time.monotonic() - self._began_s)


def _outcome(steps: Sequence[StepReport], player: StepPlayer, *, dry_run: bool) -> RunOutcome:
    if player.stopped_by_person:
        return RunOutcome.STOPPED_BY_PERSON
    if dry_run:
        return RunOutcome.DRY_RUN
    is_whole = all(step.outcome is StepOutcome.DONE for step in steps)
    return RunOutcome.COMPLETED if is_whole else RunOutcome.UNSURE


def _report(
    workflow: Workflow, played: _Played, clock: _Clock, worker: WorkerUse, before: ExecutionMode | None = None
) -> RunReport:
    stopped = next((step for step in played.steps if step.outcome is StepOutcome.STOPPED), None)
    spent = worker.take_spent()
    degraded = [*(reason for step in played.steps for reason in step.degraded), *spent.degraded]
    return RunReport(
        workflow=workflow.name,
        outcome=played.outcome,
        why=f"Step {stopped.number}: {stopped.why}" if stopped else "",
        began_unix_s=clock.began_unix_s,
        took_ms=clock.took_ms,
        mode_before=before or "",
        degraded=tuple(dict.fromkeys([*([worker.away] if worker.away else []), *degraded])),
        steps=played.steps,
    )
