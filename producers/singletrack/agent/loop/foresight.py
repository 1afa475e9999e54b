"""What a run knows of its next steps: it tells the worker when the VLM will be needed."""

from collections.abc import Sequence

from singletrack.agent.loop.worker_use import WorkerUse
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import AskStep, WorkflowStep, target_of

# How far ahead a need is announced, and what a step takes before any has been timed.
_AHEAD_S = 20.0
_STEP_S = 3.0


class Foresight:
    """Announces the VLM about 20 s before a step that is sure to need it; the worker decides what to make of it."""

    def __init__(self, workflow: Workflow, worker: WorkerUse) -> None:
        self._needs = [index for index, step in enumerate(workflow.steps) if needs_vlm(step)]
        self._worker = worker
        self._announced: int | None = None

    def look_ahead(self, index: int, took_ms: Sequence[float]) -> None:
        """Announce the next need, if it is near; `took_ms` is what the steps before this one (from 0) took."""
        need = next((need for need in self._needs if need >= index), None)
        if need is None or need == self._announced:
            return
        step_s = sum(took_ms) / 1000 / len(took_ms) if took_ms else _STEP_S
        in_s = (need - index) * step_s
        if 0 < in_s <= _AHEAD_S:
            self._worker.announce_vlm(in_s)
            self._announced = need

    def end(self, played: int) -> None:
        """Take back what was announced for a step that was not among the first `played` ones."""
        if self._announced is not None and self._announced >= played:
            self._worker.withdraw_vlm()


def needs_vlm(step: WorkflowStep) -> bool:
    """Whether a step is sure to need the VLM: a question, or a target that is only described."""
    target = target_of(step)
    return isinstance(step, AskStep) or (target is not None and target.anchor is None and not target.text.strip())
