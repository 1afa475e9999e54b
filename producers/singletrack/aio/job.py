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
    """How a call waits in a thread, and which job is called off when nobody waits for the call any more."""

    async def __call__(self, call: Callable[[], T], job: Job[Any] | None = None) -> T:
        """Run the call in a thread."""
        ...


class AsyncJob(Generic[R]):
    """A job on the queue, for asyncio."""

    def __init__(self, job: Job[R], run: RunInThread) -> None:
        self.id = job.id
        self._job = job
        self._run = run

    async def state(self) -> JobState:
        """Look where the job is."""
        return await self._run(lambda: self._job.state)

    async def progress(self) -> Progress:
        """Look how far the job is, and why it waits."""
        return await self._run(lambda: self._job.progress)

    async def result(self, timeout_s: float | None = None) -> R:
        """Wait for the result like `Job.result`; cancelling the asyncio task cancels the job."""
        return await self._run(partial(self._job.result, timeout_s), self._job)

    async def cancel(self) -> None:
        """Call the job off."""
        await self._run(self._job.cancel)
