"""An answer that is read while it is written."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from singletrack.answers import Answer
from singletrack.job import Job
from singletrack.wire.link import RedisLink, stream_entries
from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable
from singletrack_tasks.requests.vlm import AskResult

T = TypeVar("T")

_BLOCK_MS = 100
_RETRY_S = 0.2


class Piece(NamedTuple):
    """A piece of an answer, about a token; `attempt` grows when the question had to be asked again."""

    text: str
    attempt: int


class AnswerStream(Generic[T]):
    """The pieces of an answer as they arrive; afterwards `answer` is the whole answer.

    Iterating raises what waiting for the job would raise. Stopping before the end, with `close` or by leaving the
    `with`, cancels the job. For one thread.
    """

    def __init__(self, job: Job[AskResult], link: RedisLink, finish: Callable[[AskResult], Answer[T]]) -> None:
        self.job = job
        self._finish = finish
        self._reader = _PieceReader(link, job.id)
        self._waiting = _Waiting(job)
        self._pieces: deque[Piece] = deque()
        self._answer: Answer[T] | None = None

    @property
    def answer(self) -> Answer[T]:
        """The whole answer; reads to the end if need be."""
        for _ in self:
            pass
        if self._answer is None:
            raise RuntimeError("the stream was closed before the end of the answer")
        return self._answer

    def __iter__(self) -> Iterator[Piece]:
        while self.wait():
            yield from self.taken()

    def wait(self) -> bool:
        """Wait a moment for pieces; there may be none. False once all have been taken."""
        if self._waiting.given_up or (self._answer is not None and not self._pieces):
            return False
        if not self._pieces:
            self._pieces.extend(self._next_pieces())
        return True

    def taken(self) -> Iterator[Piece]:
        """Take the pieces that have arrived; those that are not iterated over stay."""
        while self._pieces:
            yield self._pieces.popleft()

    def close(self) -> None:
        """Cancel the job unless it has ended; harmless when repeated."""
        if self._answer is None:
            self._waiting.give_up()

    def _next_pieces(self) -> list[Piece]:
        ended = self._waiting.ended
        pieces = self._read(0 if ended else _BLOCK_MS)
        if ended and not pieces:
            result = self._waiting.result()
            pieces = self._reader.rest(result.text)
            self._answer = self._finish(result)
        return pieces

    def _read(self, block_ms: int) -> list[Piece]:
        try:
            return self._reader.read(block_ms)
        except (RedisUnavailable, InvalidConfiguration):
            # The thread that waits for the result tries again or raises, and has the whole answer in the end.
            self._waiting.pause(_RETRY_S)
            return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Waiting:
    """Waits for the result in a thread of its own, with every job's rules for time-outs and lost workers."""

    def __init__(self, job: Job[AskResult]) -> None:
        self._job = job
        self._asked_in = os.getpid()
        self.given_up = False
        self._begin()

    @property
    def ended(self) -> bool:
        return self._waited_for().done()

    def result(self) -> AskResult:
        return self._waited_for().result()

    def pause(self, seconds: float) -> None:
        wait([self._waited_for()], seconds)

    def give_up(self) -> None:
        if self.given_up or self.ended:
            return
        self.given_up = True
        # In the child of a fork the question is the parent's, who may still read the answer.
        if os.getpid() == self._asked_in:
            self._job.cancel()

    def _waited_for(self) -> Future[AskResult]:
        if os.getpid() != self._waits_in:
            # Threads do not live on in a child.
            self._begin()
        return self._future

    def _begin(self) -> None:
        self._waits_in = os.getpid()
        self._future: Future[AskResult] = Future()
        threading.Thread(target=self._wait, args=[self._future], name=f"answer-{self._job.id}", daemon=True).start()

    def _wait(self, future: Future[AskResult]) -> None:
        try:
            future.set_result(self._job.result())
        except BaseException as error:  # raised again in the thread that reads
            future.set_exception(error)
        finally:
            self._job.leave_thread()


class _PieceReader:
    """Reads the pieces that the worker publishes; each says at which character of the answer it begins."""

    def __init__(self, link: RedisLink, job_id: str) -> None:
        self._link = link
        self._key = link.keys.answer(job_id)
        self._after = "0-0"
        self._attempt = 0
        self._text = ""

    def read(self, block_ms: int) -> list[Piece]:
        """Read the new pieces; raises `RedisUnavailable`."""
        with self._link.reaching() as client:
            answer: Any = client.xread({self._key: self._after}, block=block_ms or None)
        entries = stream_entries(answer)
        if entries:
            self._after = entries[-1][0].decode()
        return [piece for _, fields in entries if (piece := self._take(fields)) is not None]

    def rest(self, whole: str) -> list[Piece]:
        """The rest of the whole answer, after the pieces so far."""
        if not whole.startswith(self._text):
            self._attempt, self._text = self._attempt + 1, ""
        left, self._text = whole[len(self._text) :], whole
        return [Piece(left, max(1, self._attempt))] if left else []

    def _take(self, fields: dict[bytes, bytes]) -> Piece | None:
        at, text = int(fields[b"at"]), fields[b"text"].decode("utf-8", "replace")
        if at == 0:
            self._attempt, self._text = self._attempt + 1, ""
        elif at != len(self._text):
            # A piece before it is missing: both come with the whole answer.
            return None
        self._text += text
        return Piece(text, self._attempt)
