"""What a run has of the worker: modes, the VLM when it is needed, and what that cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from singletrack.agent.errors import AgentError
from singletrack.agent.loop.parts import Pace
from singletrack.agent.loop.stopping import until_stopped
from singletrack.agent.marks.chooser import Choice, MarkChooser
from singletrack.agent.screen.ports import StopSignal
from singletrack.agent.screen.screenshot import Pixels
from singletrack.agent.targets.element import Mark
from singletrack.agent.targets.target import Target
from singletrack.answers import Answer
from singletrack.client import Client
from singletrack_tasks.errors import NoWorker, RedisUnavailable, SingletrackError
from singletrack_tasks.status import ExecutionMode


class VlmMissing(AgentError):
    """A question for the VLM, and nobody to ask."""


class _Reason(Protocol):
    """Why the system is degraded."""

    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...


class _Result(Protocol):
    """What all results of the worker have: their time in the queue, and why the system is degraded."""

    @property
    def waited_s(self) -> float | None: ...
    @property
    def reasons(self) -> Sequence[_Reason]: ...


@dataclass
class Spent:
    """What a step took of the worker: time in its queue (ms), models that answered, and what was degraded."""

    queued_ms: float = 0.0
    models: list[str] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)

    def add(self, result: "_Result") -> None:
        """Count a result."""
        self.queued_ms += 1000 * (result.waited_s or 0.0)
        self.degraded += [f"{reason.code}: {reason.message}" for reason in result.reasons]


class WorkerUse:
    """The worker as a run uses it; without a client, or after it has turned out to be away, there is none."""

    def __init__(self, client: Client | None, pace: Pace | None = None) -> None:
        self._client = client
        self._timeout_s = (pace or Pace()).worker_timeout_s
        self._away = "" if client else "no worker: the run was started without one"
        self._spent = Spent()
        self._loads = 0

    @property
    def away(self) -> str:
        """Why there is no worker; empty if there is one."""
        return self._away

    @contextmanager
    def left_alone(self, why: str) -> Iterator[None]:
        """Meanwhile there is no worker, for that reason."""
        before, self._away = self._away, self._away or why
        try:
            yield
        finally:
            self._away = before

    @property
    def vlm_loads(self) -> int:
        """How often the VLM was asked for."""
        return self._loads

    def take_spent(self) -> Spent:
        """What was spent since the last call."""
        spent, self._spent = self._spent, Spent()
        return spent

    def mode_now(self, *, is_needed: bool) -> ExecutionMode | None:
        """The track's mode; without a worker None, or `NoWorker` or `RedisUnavailable` if one is needed."""
        if self._client is None:
            if is_needed:
                raise NoWorker("The workflow needs a worker. Start one (singletrack up), or say needs_worker: false.")
            return None
        try:
            return self._client.status().mode
        except (NoWorker, RedisUnavailable) as error:
            if is_needed:
                raise
            self._away = f"no worker: {error.message}"
            return None

    def change_mode(self, mode: ExecutionMode) -> None:
        """Change the mode, if there is a worker; raises the client's errors."""
        if self._client is not None and not self._away:
            self._spent.add(self._client.set_mode(mode, timeout_s=self._timeout_s))

    def put_back(self, mode: ExecutionMode) -> None:
        """Change the mode back; where that fails, what was spent says so."""
        try:
            self.change_mode(mode)
        except SingletrackError as error:
            self._spent.degraded.append(f"the mode was not put back to {mode}: {error.message}")

    def bring_vlm(self) -> None:
        """Have the VLM loaded; raises `VlmMissing`."""
        client = self._at_hand()
        try:
            result = client.ensure_vlm_loaded(timeout_s=self._timeout_s)
        except SingletrackError as error:
            raise VlmMissing(f"The VLM is missing: {error.message}") from error
        self._loads += 1
        self._spent.add(result)

    def announce_vlm(self, in_s: float) -> None:
        """Say that the VLM will be needed in so many seconds: a wish, which costs nobody anything if it fails."""
        self._wish(lambda client: client.announce_vlm(in_s=in_s))

    def withdraw_vlm(self) -> None:
        """Take the wish back."""
        self._wish(lambda client: client.withdraw_vlm())

    def _wish(self, make: Callable[[Client], object]) -> None:
        if self._client is None or self._away:
            return
        try:
            make(self._client)
        except SingletrackError as error:
            self._spent.degraded.append(f"the VLM's need was not announced: {error.message}")

    def ask(
        self, question: str, pixels: Pixels, schema: Mapping[str, Any] | None, *, timeout_s: float, stop: StopSignal
    ) -> Answer[Any]:
        """Ask about a picture; a person's stop cancels the question. Raises the client's errors, and `VlmMissing`."""
        until_stopped(self.bring_vlm, stop)
        client = self._at_hand()
        given = dict(schema) if schema is not None else None
        answer = until_stopped(lambda: client.ask(question, [pixels], schema=given, timeout_s=timeout_s), stop)
        self._spent.add(answer.result)
        self._spent.models.append(answer.result.model)
        return answer

    def count_choice(self, choice: Choice) -> None:
        """Count what a chooser asked."""
        self._spent.queued_ms += choice.queued_ms
        if choice.asked and choice.model:
            self._spent.models.append(choice.model)
        if not choice.asked:
            self._spent.degraded.append(choice.why)

    def _at_hand(self) -> Client:
        if self._client is None or self._away:
            raise VlmMissing(f"The VLM is missing: {self._away}.")
        return self._client


class OnDemandChooser:
    """Asks another chooser, and has the VLM loaded right before: only targets that need it bring it."""

    def __init__(self, chooser: MarkChooser, worker: WorkerUse) -> None:
        self._chooser = chooser
        self._worker = worker

    def choose(self, pixels: Pixels, marks: Sequence[Mark], target: Target) -> Choice:
        """Choose as the other one does; without a VLM nobody is asked."""
        try:
            self._worker.bring_vlm()
        except VlmMissing as error:
            choice = Choice(None, error.message, asked=False)
        else:
            choice = self._chooser.choose(pixels, marks, target)
        self._worker.count_choice(choice)
        return choice
