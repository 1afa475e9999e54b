"""An answer that is read while it is written, for asyncio."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from singletrack.aio.job import AsyncJob, RunInThread
from singletrack.answer_stream import AnswerStream, Piece
from singletrack.answers import Answer
from singletrack_tasks.requests.vlm import AskResult

T = TypeVar("T")


class AsyncAnswerStream(Generic[T]):
    """The pieces of an answer as they arrive, for an `async with`; it has the names of `AnswerStream`.

    The question is sent on entry; cancelling the asyncio task, or leaving before the end, cancels the job.
    """

    def __init__(self, ask: Callable[[], AnswerStream[T]], run: RunInThread) -> None:
        self._ask = ask
        self._run = run
        self._asked: AnswerStream[T] | None = None

    @property
    def job(self) -> AsyncJob[AskResult]:
        """The job of the question, once it is sent."""
        return AsyncJob(self._stream.job, self._run)

    async def answer(self) -> Answer[T]:
        """Read to the end if need be, and return the whole answer."""
        return await self._run(lambda: self._stream.answer, self._stream.job)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while await self._run(self._stream.wait, self._stream.job):
            for piece in self._stream.taken():
                yield piece

    async def close(self) -> None:
        """Cancel the job unless it has ended; harmless when repeated."""
        await self._run(self._stream.close)

    async def __aenter__(self) -> Self:
        self._asked = await self._run(self._ask)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _stream(self) -> AnswerStream[T]:
        if self._asked is None:
            raise RuntimeError("enter the `async with` first: it sends the question")
        return self._asked
