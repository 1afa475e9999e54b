"""A job on the queue, for asyncio."""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from singletrack.job import Job, JobState
from singletrack.reading.progress import Progress
from singletrack_tasks.message import Message

R = TypeVar("R", bound=Message)
T = TypeVar("T")


class RunInThread(Protocol):
    """Runs calls in threads."""

    async def __call__(self, call: Callable[[], T], job: Job[Any] | None = None) -> T:
        """Run the call in a thread; `job` is cancelled when the asyncio task is."""
        ...


class AsyncJob(Generic[R]):
    """A job on the queue, for asyncio."""

    def __init__(self, job: Job[R], run: RunInThread) -> None:
        self.id = job.id
        self._job = job
        self._run = run

    async def state(self) -> JobState:
        """Read the job's state."""
        return await self._run(lambda: self._job.state)

    async def progress(self) -> Progress:
        """Read how far the job is, and why it waits."""
        return await self._run(lambda: self._job.progress)

    async def result(self, timeout_s: float | None = None) -> R:
        """Wait for the result like `Job.result`; cancelling the asyncio task cancels the job."""
        return await self._run(partial(self._job.result, timeout_s), self._job)

    async def cancel(self) -> None:
        """Cancel the job."""
        await self._run(self._job.cancel)
