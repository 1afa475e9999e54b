"""One client of a run: it sends errands in order, waits for each, and writes down what it was told."""

import itertools
import queue
import threading
import time
import uuid
from collections.abc import Callable
from typing import Protocol

from tests.faults.errands import Errand
from tests.faults.history import UNTYPED, Accepted, Cancelled, Journal, Outcome, Refused, now_ns

# How many jobs of a client may be under way.
MOST_OPEN = 8
# Enough that all who wait for a backlog that was taken away hear of it while the checker is patient.
WAITERS = 12
_AGAIN_S = 0.1


class Told(Exception):
    """What became of a job, if it was no result: the name of an error."""


class NotTaken(Exception):
    """A `submit` that raised; `again` says whether the same job may be sent again without being done twice."""

    def __init__(self, error: str, *, again: bool) -> None:
        super().__init__(error)
        self.again = again


class Handle(Protocol):
    """A job that was accepted."""

    @property
    def id(self) -> str:
        """What it is called everywhere."""

    def result(self) -> str:
        """Wait for the digest of its result; raises `Told`."""

    def cancel(self) -> None:
        """Call it off; raises anything if that could not be said."""


class Office(Protocol):
    """Where errands are handed in."""

    def submit(self, errand: Errand, job: str) -> Handle:
        """Hand one in; raises `NotTaken`."""

    def close(self) -> None:
        """End the connections."""


class Player:
    """Sends from one thread, waits in others."""

    def __init__(
        self, name: str, office: Office, journal: Journal, *, goes_on: Callable[[], bool], most_open: int = MOST_OPEN
    ) -> None:
        self.name = name
        self._office = office
        self._journal = journal
        self._goes_on = goes_on
        self._numbers = itertools.count(1)
        self._open: queue.Queue[Handle | None] = queue.Queue()
        self._slots = threading.BoundedSemaphore(most_open)
        self.told: dict[str, str] = {}
        self._sent = 0
        for _ in range(WAITERS):
            threading.Thread(target=self._wait, daemon=True).start()

    def send(self, errand: Errand) -> str | None:
        """Hand in one errand, again and again if need be; gives the job's id, None if it was not accepted."""
        self._slots.acquire()
        number, job = next(self._numbers), str(uuid.uuid4())
        sent_ns = now_ns()
        while (handle := self._try(errand, number, job, sent_ns)) is None:
            if not self._goes_on():
                break
            time.sleep(_AGAIN_S)
        else:
            if handle is not _NOBODY:
                self._sent += 1
                self._open.put(handle)
                return handle.id
        self._slots.release()
        return None

    def finish(self, limit_s: float) -> bool:
        """Wait until everything that was accepted has an outcome; whether it has."""
        deadline = time.monotonic() + limit_s
        while len(self.told) < self._sent and time.monotonic() < deadline:
            time.sleep(0.02)
        return len(self.told) >= self._sent

    def close(self) -> None:
        """Have the threads end that have nothing to wait for."""
        for _ in range(WAITERS):
            self._open.put(None)

    def _try(self, errand: Errand, number: int, job: str, sent_ns: int) -> Handle | None:
        """Give a handle, `_NOBODY` for what is not to be tried again, None for what is."""
        try:
            handle = self._office.submit(errand, job)
        except NotTaken as error:
            self._journal.note(Refused(now_ns(), self.name, number, str(error)))
            return None if error.again else _NOBODY
        except Exception as error:
            self._journal.note(Refused(now_ns(), self.name, number, untyped(error)))
            return _NOBODY
        at_ns = now_ns()
        # What is sent takes its deadline from a moment before this one.
        deadline_ns = at_ns + int(errand.timeout_s * 1e9)
        self._journal.note(Accepted(at_ns, sent_ns, self.name, number, handle.id, errand.kind, deadline_ns))
        if errand.cancel_after_s is not None:
            timer = threading.Timer(errand.cancel_after_s, self._cancel, (handle,))
            timer.daemon = True
            timer.start()
        return handle

    def _cancel(self, handle: Handle) -> None:
        try:
            handle.cancel()
        except Exception:
            return  # it was not said, so nobody can heed it
        self._journal.note(Cancelled(now_ns(), handle.id))

    def _wait(self) -> None:
        while (handle := self._open.get()) is not None:
            error = digest = ""
            try:
                digest = handle.result()
            except Told as told:
                error = str(told)
            except Exception as raised:
                error = untyped(raised)
            self._journal.note(Outcome(now_ns(), self.name, handle.id, error, digest))
            self.told[handle.id] = error
            self._slots.release()


def untyped(error: Exception) -> str:
    """Name an error that no caller should ever see."""
    return f"{UNTYPED} {type(error).__name__}: {error}"


class _Nobody:
    id = ""

    def result(self) -> str:
        raise AssertionError("nobody waits for what was not accepted")

    def cancel(self) -> None:
        raise AssertionError("nobody calls off what was not accepted")


_NOBODY: Handle = _Nobody()
