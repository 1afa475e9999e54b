"""Stops: a person's, and those of a loop that is unsure."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from singletrack.agent.errors import AgentError
from singletrack.agent.screen.ports import StopSignal
from singletrack.agent.targets.resolution import Resolution
from singletrack.scope import Scope, scope
from singletrack_tasks.errors import SingletrackError

T = TypeVar("T")
# How soon a person's stop is noticed while something else takes its time.
NOTICE_S = 0.05


class StoppedByPerson(AgentError):
    """A person stopped the run."""


class Unsure(AgentError):
    """A step that is not done, because it is not sure what would come of it; the message says what to look at."""

    def __init__(self, message: str, resolution: Resolution | None = None) -> None:
        super().__init__(message)
        self.resolution = resolution


def check_stop(stop: StopSignal) -> None:
    """Raise `StoppedByPerson` if a person has said so."""
    if stop.is_set():
        raise StoppedByPerson("A person stopped the run.")


def until_stopped(call: Callable[[], T], stop: StopSignal) -> T:
    """Call something that may take long, and return its result; raises `StoppedByPerson` as soon as a person stops.

    Then the worker's jobs that it has sent are cancelled, and the call is left to end by itself, in a thread of its
    own: it only reads or asks, it never acts.
    """
    check_stop(stop)
    pending: _Pending[T] = _Pending(call)
    try:
        while not pending.is_over(NOTICE_S):
            check_stop(stop)
    except BaseException:  # Ctrl-C too
        pending.give_up()
        raise
    result = pending.result()
    check_stop(stop)
    return result


class _Pending(Generic[T]):
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._jobs = Scope()
        self._thread = threading.Thread(target=self._run, name="singletrack-agent", daemon=True)
        self._thread.start()

    def is_over(self, timeout_s: float) -> bool:
        """Wait for the end, for `timeout_s` seconds at most."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def give_up(self) -> None:
        """Cancel the jobs that the call has sent, and let it send no more."""
        # What cannot be cancelled ends by its deadline; the stop is what counts.
        with suppress(SingletrackError):
            self._jobs.cancel()

    def result(self) -> T:
        """What the call returned, or raise what it raised."""
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def _run(self) -> None:
        scope.set(self._jobs)
        try:
            self._results.append(self._call())
        except BaseException as error:  # the caller gets it, whatever it is
            self._errors.append(error)
