"""The steps that look and ask, and touch nothing."""

import json
from typing import Any

from singletrack.agent.loop.looking import Looker, advice
from singletrack.agent.loop.progress import Notes
from singletrack.agent.loop.reading import shows, shows_nothing_like
from singletrack.agent.loop.stopping import Unsure
from singletrack.agent.loop.values import Values
from singletrack.agent.loop.worker_use import WorkerUse
from singletrack.agent.report.model import Verification, VerifiedAs
from singletrack.agent.screen.ports import StopSignal
from singletrack.agent.targets.resolution import TargetStatus
from singletrack.agent.targets.target import Target
from singletrack.agent.workflow.steps import AskStep, CheckStep, WaitStep

_ANSWER_CHARS_MAX = 5000


class Onlooker:
    """Waits, checks and asks."""

    def __init__(self, looker: Looker, worker: WorkerUse, values: Values, stop: StopSignal) -> None:
        self._looker = looker
        self._worker = worker
        self._values = values
        self._stop = stop

    def wait(self, step: WaitStep, notes: Notes) -> None:
        """Wait until a target is seen; raises `Unsure`."""
        found = self._looker.find(step.target, step.timeout_s)
        notes.note_found(step.target, found)
        if not found.resolution.is_found:
            raise Unsure(advice(step.target, found.resolution), found.resolution)
        notes.verification = Verification(outcome=VerifiedAs.VERIFIED, how="seen")

    def check(self, step: CheckStep, notes: Notes) -> None:
        """Check that something is on the screen, or is not; raises `Unsure`."""
        how = self._check_target(step.target, step, notes) if step.target else self._check_text(step)
        notes.verification = Verification(outcome=VerifiedAs.VERIFIED, how=how)

    def ask(self, step: AskStep, notes: Notes) -> None:
        """Ask the VLM, and keep its answer; raises `Unsure`, and the client's errors."""
        pixels = self._looker.grab().pixels
        answer = self._worker.ask(step.question, pixels, step.answer_schema, timeout_s=step.timeout_s, stop=self._stop)
        if answer.truncated is not None:
            raise Unsure(f"The answer for {step.into} was cut. Look at the question, or allow more tokens.")
        value = answer.value if step.answer_schema is not None else answer.text
        if value is None:
            raise Unsure(f"The VLM has no answer for {step.into}. Look at what the screen says.")
        text = _as_text(value)
        if not text or len(text) > _ANSWER_CHARS_MAX:
            raise Unsure(f"The answer for {step.into} has {len(text)} characters. Look at the question.")
        self._values.keep(step.into, text)
        notes.answer = text

    def _check_text(self, step: CheckStep) -> str:
        holds = shows if step.there else shows_nothing_like
        is_as_wanted = self._looker.wait_for(lambda: holds(self._looker.look(), step.text), step.timeout_s)
        if not is_as_wanted:
            raise Unsure(
                f"The text {step.text!r} is {'not on' if step.there else 'still on'} the screen after "
                f"{step.timeout_s:g} s. Look at what the screen says."
            )
        return f"{step.text!r} is {'there' if step.there else 'not there'}"

    def _check_target(self, target: Target, step: CheckStep, notes: Notes) -> str:
        if step.there:
            found = self._looker.find(target, step.timeout_s)
            notes.note_found(target, found)
            if not found.resolution.is_found:
                raise Unsure(advice(target, found.resolution), found.resolution)
            return "seen"
        # That it is not found for another reason does not mean that it is not there.
        gone = self._looker.wait_for(
            lambda: self._looker.resolve(target, self._looker.look()).status is TargetStatus.ABSENT, step.timeout_s
        )
        if not gone:
            resolution = self._looker.resolve(target, self._looker.look())
            raise Unsure(f"It is not sure that {target.name!r} is gone: {resolution.why}", resolution)
        return f"{target.name!r} is not there"


def _as_text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
