"""The jobs that one call sends, so that another thread can look at them, or give the call up."""

import threading
from contextlib import ExitStack
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from singletrack_tasks.errors import JobCancelled

if TYPE_CHECKING:
    from singletrack.reading.progress import Progress


class SentJob(Protocol):
    """A job, whatever it results in."""

    @property
    def progress(self) -> "Progress":
        """How far it is."""

    def cancel(self) -> None:
        """Call it off."""


class Scope:
    """The jobs that one call has sent; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: list[SentJob] = []
        self._cancelled = False

    @property
    def newest(self) -> SentJob | None:
        """The job that was sent last, None before the first."""
        with self._lock:
            return self._jobs[-1] if self._jobs else None

    def check(self) -> None:
        """Raise `JobCancelled` if the call was given up."""
        if self._cancelled:
            raise JobCancelled("the call was given up before its job was sent")

    def add(self, job: SentJob) -> None:
        """Note a job; it is cancelled at once if the call was given up in the meantime."""
        with self._lock:
            self._jobs.append(job)
            cancelled = self._cancelled
        if cancelled:
            job.cancel()

    def cancel(self) -> None:
        """Give the call up."""
        with self._lock:
            self._cancelled = True
            jobs = list(self._jobs)
        with ExitStack() as each:
            # All of them, even if one cannot be cancelled.
            for job in jobs:
                each.callback(job.cancel)


scope: ContextVar[Scope | None] = ContextVar("singletrack_scope", default=None)
