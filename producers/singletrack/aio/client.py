"""The client for asyncio: the same methods as coroutines, run in threads of its own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from pydantic import BaseModel

from singletrack.aio.answer_stream import AsyncAnswerStream
from singletrack.aio.job import AsyncJob
from singletrack.aio.threads import Threads
from singletrack.answers import Answer, Embeddings
from singletrack.client import Client
from singletrack.job import Job
from singletrack.questions import AskKeywords, Images, SchemaLike
from singletrack.reading.recordings import RECORD_TIMEOUT_S
from singletrack.scope import Scope, scope
from singletrack.wire.limits import DEFAULT_TIMEOUT_S
from singletrack_tasks.dead_letter import DeadLetter
from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.recording import Recording
from singletrack_tasks.requests.intents import IntentResult
from singletrack_tasks.requests.mode import ModeResult
from singletrack_tasks.requests.ping import PingResult
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.vlm import AskResult, VlmResult
from singletrack_tasks.result import OperationResult
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
R = TypeVar("R", bound=OperationResult)

_log = logging.getLogger(__name__)


class AsyncClient:
    """A client of one track for asyncio; its methods are those of `Client`, and raise the same.

    Each call waits in one of `max_threads` threads; more calls than that wait for a free one. Cancelling the
    asyncio task of a call cancels its job.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        track: str | None = None,
        *,
        worker_grace_s: float = 10.0,
        max_threads: int = 32,
    ) -> None:
        self._client = Client(redis_url, track, worker_grace_s=worker_grace_s)
        self._threads = Threads(max_threads)

    @property
    def track(self) -> str:
        """The track that this client talks to."""
        return self._client.track

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for the running calls, and close the connections."""
        self._threads.closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.close()
        self._client.close()

    async def _run(self, call: Callable[[], T], job: Job[Any] | None = None) -> T:
        """Run a call in a thread; when the asyncio task is cancelled, so are `job` and the jobs that the call sent."""
        self._threads.check_open()
        jobs = Scope()
        if job is not None:
            # Added here: a call that is cancelled before a thread is free for it never runs.
            jobs.add(job)
        context = copy_context()
        context.run(scope.set, jobs)
        work = partial(context.run, call)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads.calls, work)
        except asyncio.CancelledError:
            if not _cancelled_here():
                # Closing the client cancels the calls that wait for a thread, and not their tasks.
                self._threads.check_open()
            self._threads.cancel(partial(_call_off, jobs))
            raise

    async def set_mode(self, mode: ExecutionMode | str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> ModeResult:
        """Change the execution mode."""
        return await self._run(partial(self._client.set_mode, mode, timeout_s=timeout_s))

    @overload
    async def ask(
        self, prompt: str, images: Images = (), *, schema: None = None, **keywords: Unpack[AskKeywords]
    ) -> Answer[None]: ...
    @overload
    async def ask(
        self, prompt: str, images: Images = (), *, schema: type[M], **keywords: Unpack[AskKeywords]
    ) -> Answer[M]: ...
    @overload
    async def ask(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None, **keywords: Unpack[AskKeywords]
    ) -> Answer[Any]: ...

    async def ask(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None = None, **keywords: Unpack[AskKeywords]
    ) -> Answer[Any]:
        """Put a question to the VLM; keywords as for `Client.ask`."""
        return await self._run(lambda: self._client.ask(prompt, images, schema=schema, **keywords))

    @overload
    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: None = None, **keywords: Unpack[AskKeywords]
    ) -> AsyncAnswerStream[None]: ...
    @overload
    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: type[M], **keywords: Unpack[AskKeywords]
    ) -> AsyncAnswerStream[M]: ...
    @overload
    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None, **keywords: Unpack[AskKeywords]
    ) -> AsyncAnswerStream[Any]: ...

    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None = None, **keywords: Unpack[AskKeywords]
    ) -> AsyncAnswerStream[Any]:
        """Put a question like `ask`, and read the answer while it is written: `async with`, then `async for`."""
        return AsyncAnswerStream(lambda: self._client.ask_stream(prompt, images, schema=schema, **keywords), self._run)

    async def embed_images(self, images: Images, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Embeddings:
        """Embed 1 to 256 images with CLIP."""
        return await self._run(partial(self._client.embed_images, images, timeout_s=timeout_s))

    async def embed_texts(self, texts: Iterable[str], *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Embeddings:
        """Embed 1 to 256 texts with CLIP."""
        return await self._run(partial(self._client.embed_texts, texts, timeout_s=timeout_s))

    async def ensure_vlm_loaded(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> VlmResult:
        """Load the VLM; returns when the server lists it as loaded."""
        return await self._run(partial(self._client.ensure_vlm_loaded, timeout_s=timeout_s))

    async def ensure_vlm_unloaded(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> VlmResult:
        """Unload the VLM; returns when it is gone and its memory free."""
        return await self._run(partial(self._client.ensure_vlm_unloaded, timeout_s=timeout_s))

    async def announce_vlm(self, *, in_s: float = 20.0, for_s: float = 60.0) -> AsyncJob[IntentResult]:
        """Announce that the VLM will be needed, and return without waiting."""
        return AsyncJob(await self._run(partial(self._client.announce_vlm, in_s=in_s, for_s=for_s)), self._run)

    async def withdraw_vlm(self) -> AsyncJob[IntentResult]:
        """Take back what was announced, and return without waiting."""
        return AsyncJob(await self._run(self._client.withdraw_vlm), self._run)

    async def clip_device(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
        """Name the device that CLIP's weights are on."""
        return await self._run(partial(self._client.clip_device, timeout_s=timeout_s))

    async def ping(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> PingResult:
        """Take a turn on the GPU and do nothing."""
        return await self._run(partial(self._client.ping, timeout_s=timeout_s))

    async def status(self, *, stale: bool = False) -> GPUResourceStatus:
        """Read the track's last snapshot; never queues."""
        return await self._run(partial(self._client.status, stale=stale))

    async def events(
        self, since: str | None = None, follow: bool = False, timeout_s: float | None = None
    ) -> AsyncIterator[tuple[str, AnyEvent]]:
        """Iterate over the track's events as (id, event), like `Client.events`."""
        reader = self._client._event_reader(since, timeout_s)  # noqa: SLF001 - the iterator of `events` would block
        if not follow:
            for entry in await self._run(lambda: list(reader.kept())):
                yield entry
            return
        while True:
            for entry in await self._run(reader.next_batch):
                yield entry
            if reader.over:
                return

    async def record(self, *, timeout_s: float = RECORD_TIMEOUT_S) -> Recording:
        """Fetch the worker's flight recording, the last ten minutes of the GPU."""
        return await self._run(partial(self._client.record, timeout_s=timeout_s))

    async def submit_ask(
        self,
        prompt: str,
        images: Images = (),
        *,
        schema: SchemaLike | None = None,
        job_id: str | None = None,
        **keywords: Unpack[AskKeywords],
    ) -> AsyncJob[AskResult]:
        """Put a question on the queue, and return without waiting."""
        submit = partial(self._client.submit_ask, prompt, images, schema=schema, job_id=job_id, **keywords)
        return AsyncJob(await self._run(submit), self._run)

    async def submit_mode(
        self, mode: ExecutionMode | str, *, timeout_s: float = DEFAULT_TIMEOUT_S, job_id: str | None = None
    ) -> AsyncJob[ModeResult]:
        """Put a mode change on the queue, and return without waiting."""
        submit = partial(self._client.submit_mode, mode, timeout_s=timeout_s, job_id=job_id)
        return AsyncJob(await self._run(submit), self._run)

    async def submit(
        self, request: Request[R], *, timeout_s: float = DEFAULT_TIMEOUT_S, job_id: str | None = None
    ) -> AsyncJob[R]:
        """Put a request on the queue, and return without waiting; one `job_id` runs once, as with `Client.submit`."""
        submit = partial(self._client.submit, request, timeout_s=timeout_s, job_id=job_id)
        return AsyncJob(await self._run(submit), self._run)

    async def dead_letters(self) -> list[tuple[str, DeadLetter]]:
        """List the jobs that were put aside instead of being run (again), as (id, letter), oldest first."""
        return await self._run(self._client.dead_letters)

    async def dead_letter(self, letter_id: str) -> tuple[str, DeadLetter]:
        """Find a dead letter by its id, or a job's newest one by the job's id."""
        return await self._run(partial(self._client.dead_letter, letter_id))

    async def retry_dead(self, letter_id: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> AsyncJob[Any]:
        """Send a dead letter's request again, under its job's id, with a new deadline, and remove the letter."""
        retry: Callable[[], Job[Any]] = partial(self._client.retry_dead, letter_id, timeout_s=timeout_s)
        return AsyncJob(await self._run(retry), self._run)

    async def drop_dead(self, letter_id: str) -> None:
        """Remove a dead letter."""
        await self._run(partial(self._client.drop_dead, letter_id))

    async def drop_all_dead(self) -> int:
        """Remove all dead letters; returns how many there were."""
        return await self._run(self._client.drop_all_dead)


def _cancelled_here() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _call_off(jobs: Scope) -> None:
    try:
        jobs.cancel()
    except (RedisUnavailable, InvalidConfiguration) as error:
        # No caller is left to raise this to; the jobs' deadlines, which the worker checks, end them as well.
        _log.warning("could not cancel the jobs of a cancelled call: %s", error)
