"""The client that an agent calls."""

import uuid
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from pydantic import BaseModel

from singletrack.answer_stream import AnswerStream
from singletrack.answers import Answer, Embeddings, answer_to
from singletrack.embedder import Embedder
from singletrack.job import Job
from singletrack.questions import AskKeywords, Images, Question, SchemaLike
from singletrack.reading.dead_letters import DeadLetters
from singletrack.reading.event_reader import EventReader
from singletrack.reading.recordings import RECORD_TIMEOUT_S, Recordings
from singletrack.reading.snapshots import ClipModels, SnapshotReader
from singletrack.scope import scope
from singletrack.wire.limits import DEFAULT_TIMEOUT_S, as_filled_list, check_seconds, check_sending
from singletrack.wire.link import RedisLink
from singletrack.wire.sender import Sender
from singletrack.wire.settings import load_settings
from singletrack_tasks.dead_letter import DeadLetter
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.recording import Recording
from singletrack_tasks.requests.catalogue import checked
from singletrack_tasks.requests.embedding import MAX_INPUTS, EmbeddingResult, EmbedImages, EmbedTexts, FindClip
from singletrack_tasks.requests.intents import AnnounceVlm, IntentResult, WithdrawVlm
from singletrack_tasks.requests.mode import ModeResult, SetMode
from singletrack_tasks.requests.ping import Ping, PingResult
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.vlm import AskResult, LoadVlm, UnloadVlm, VlmResult
from singletrack_tasks.result import OperationResult
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R", bound=OperationResult)


class Client:
    """A client of one track: one GPU, its queue, and the worker that serves it.

    `redis_url` and `track` default to `SINGLETRACK_REDIS_URL` and `SINGLETRACK_TRACK`; connections are made on first
    use. Safe to use from several threads, and in the children of a fork; close it, or use it in a `with`. Calls to a
    client that was closed raise `InvalidRequest`.

    Every operation takes `timeout_s` (seconds, at most a day), which is the job's deadline as well. It raises the
    worker's errors as themselves; `InvalidRequest` for a wrong request, before anything is sent; `DeadlinePassed` when
    the time is up; `NoWorker` when no worker has been seen for `worker_grace_s` (seconds); `QueueFull` at once when the
    queue or its payloads have reached the track's limits; `RedisUnavailable`; `InvalidConfiguration` if Redis refuses
    access.
    """

    def __init__(self, redis_url: str | None = None, track: str | None = None, *, worker_grace_s: float = 10.0) -> None:
        self._settings = load_settings(redis_url, track)
        self._worker_grace_s = check_seconds("worker_grace_s", worker_grace_s)
        self._holder = uuid.uuid4().hex
        self._link = RedisLink(self._settings)
        self._sender = Sender(self._settings)
        self._snapshots = SnapshotReader(self._link)
        self._recordings = Recordings(self._link, self._sender, self._snapshots)
        self._dead = DeadLetters(self._link)
        self._embedder = Embedder(self._link, ClipModels(self._snapshots), self._run_embed)

    @property
    def track(self) -> str:
        """The track that this client talks to."""
        return self._settings.track

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; jobs that were sent stay on the queue."""
        self._sender.close()
        self._link.close()

    def set_mode(self, mode: ExecutionMode | str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> ModeResult:
        """Change the execution mode; returns when the GPU is as the mode demands, with receipts of what was moved."""
        return self._finish(self.submit_mode(mode, timeout_s=timeout_s))

    @overload
    def ask(
        self, prompt: str, images: Images = (), *, schema: None = None, **keywords: Unpack[AskKeywords]
    ) -> Answer[None]: ...
    @overload
    def ask(
        self, prompt: str, images: Images = (), *, schema: type[M], **keywords: Unpack[AskKeywords]
    ) -> Answer[M]: ...
    @overload
    def ask(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None, **keywords: Unpack[AskKeywords]
    ) -> Answer[Any]: ...

    def ask(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None = None, **keywords: Unpack[AskKeywords]
    ) -> Answer[Any]:
        """Put a question to the VLM, with up to 16 images; if there is a `schema`, the answer fits it.

        An image is a path, a `data:` URL, the bytes of a file, a PIL image, or an array (H x W x 3 RGB, H x W x 4 BGRA,
        grey). With a pydantic model class the answer's `value` is an instance of it. Keywords: `options` (`VlmOptions`,
        or a dict of its fields), `model` (default: the track's) and `timeout_s` (default: 120). Raises `InvalidImage`,
        `InvalidSchema` and `AnswerOutsideSchema`, besides what every operation raises.
        """
        return answer_to(schema)(self._finish(self._put(Question(prompt, images, schema, **keywords))))

    @overload
    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: None = None, **keywords: Unpack[AskKeywords]
    ) -> AnswerStream[None]: ...
    @overload
    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: type[M], **keywords: Unpack[AskKeywords]
    ) -> AnswerStream[M]: ...
    @overload
    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None, **keywords: Unpack[AskKeywords]
    ) -> AnswerStream[Any]: ...

    def ask_stream(
        self, prompt: str, images: Images = (), *, schema: SchemaLike | None = None, **keywords: Unpack[AskKeywords]
    ) -> AnswerStream[Any]:
        """Put a question like `ask`, and read the answer while it is written: iterate, then take `answer`.

        Use it in a `with`, which cancels the job when it is left before the end. Keywords as for `ask`.
        """
        job = self._put(Question(prompt, images, schema, **keywords), stream=True)
        return AnswerStream(job, self._link, answer_to(schema))

    def embed_images(self, images: Images, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Embeddings:
        """Embed 1 to 256 images with CLIP; those that the cache knows are not sent.

        Raises `InvalidImage`, besides what every operation raises.
        """
        check_seconds("timeout_s", timeout_s)
        return self._embedder.images(as_filled_list(images, "images", MAX_INPUTS), timeout_s)

    def embed_texts(self, texts: Iterable[str], *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Embeddings:
        """Embed 1 to 256 texts with CLIP; those that the cache knows are not sent.

        The result's `truncated` says which were cut at what CLIP reads, 77 tokens as a rule.
        """
        check_seconds("timeout_s", timeout_s)
        request = EmbedTexts.build(texts=as_filled_list(texts, "texts", MAX_INPUTS))
        return self._embedder.texts(request, timeout_s)

    def ensure_vlm_loaded(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> VlmResult:
        """Load the VLM; returns when the server lists it as loaded."""
        return self._finish(self.submit(LoadVlm(), timeout_s=timeout_s))

    def ensure_vlm_unloaded(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> VlmResult:
        """Unload the VLM; returns when it is gone and its memory free."""
        return self._finish(self.submit(UnloadVlm(), timeout_s=timeout_s))

    def announce_vlm(self, *, in_s: float = 20.0, for_s: float = 60.0) -> Job[IntentResult]:
        """Announce that the VLM will be needed in `in_s` seconds (at most 600), for `for_s`; returns without waiting.

        The worker loads it ahead where the mode allows that, and does not unload it for being idle right before. The
        wish ends when the VLM is used or unloaded on demand, the mode changes, or its time is up. A client has one.
        """
        request = AnnounceVlm.build(holder=self._holder, in_s=in_s, for_s=for_s)
        return self.submit(request, timeout_s=request.in_s + request.for_s)

    def withdraw_vlm(self) -> Job[IntentResult]:
        """Take back what `announce_vlm` announced, if it has not ended; returns without waiting."""
        return self.submit(WithdrawVlm(holder=self._holder))

    def clip_device(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
        """Name the device that CLIP's weights are on, `cpu` or `cuda:n`, as the encoder itself reports it."""
        return self._finish(self.submit(FindClip(), timeout_s=timeout_s)).device

    def ping(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> PingResult:
        """Take a turn on the GPU and do nothing."""
        return self._finish(self.submit(Ping(), timeout_s=timeout_s))

    def status(self, *, stale: bool = False) -> GPUResourceStatus:
        """Read the track's last snapshot with the length of its queue; never queues, never waits for the GPU.

        Raises `NoWorker` if there is none, or if it is older than 5 s: then the worker is gone. With `stale`
        the last one is returned however old it is; `taken_unix_s` says when it was taken (by the Redis server's clock).
        """
        return self._snapshots.status(stale=stale)

    def events(
        self, since: str | None = None, follow: bool = False, timeout_s: float | None = None
    ) -> Iterator[tuple[str, AnyEvent]]:
        """Iterate over the track's events as (id, event), oldest first; with `since` only those after that id.

        Going on from the last id seen misses nothing: `EventsLost` is raised if events after it have been trimmed
        (10,000 are kept). `since` '$' means from now on. With `follow` it waits for new events, for `timeout_s`
        seconds or for ever. Events of a kind that this release does not know are skipped with a warning in the log.
        """
        reader = self._event_reader(since, timeout_s)
        return reader.follow() if follow else reader.kept()

    def record(self, *, timeout_s: float = RECORD_TIMEOUT_S) -> Recording:
        """Fetch the worker's flight recording, the last ten minutes of the GPU; never waits for the GPU.

        Raises `NoWorker` if there is none, or if it does not answer in time.
        """
        return self._recordings.fetch(check_seconds("timeout_s", timeout_s))

    def submit_ask(
        self,
        prompt: str,
        images: Images = (),
        *,
        schema: SchemaLike | None = None,
        job_id: str | None = None,
        **keywords: Unpack[AskKeywords],
    ) -> Job[AskResult]:
        """Put a question on the queue, and return without waiting; keywords as for `ask`, `job_id` as for `submit`."""
        return self._put(Question(prompt, images, schema, **keywords), job_id=job_id)

    def submit_mode(
        self, mode: ExecutionMode | str, *, timeout_s: float = DEFAULT_TIMEOUT_S, job_id: str | None = None
    ) -> Job[ModeResult]:
        """Put a mode change on the queue like `set_mode`, and return without waiting; `job_id` as for `submit`."""
        return self.submit(SetMode.build(mode=mode), timeout_s=timeout_s, job_id=job_id)

    def submit(self, request: Request[R], *, timeout_s: float = DEFAULT_TIMEOUT_S, job_id: str | None = None) -> Job[R]:
        """Put a request on the queue with a deadline in `timeout_s` seconds, and return without waiting.

        A job that is submitted twice under one `job_id` (1 to 64 of A-Z, a-z, 0-9, '_', '-' and '.') runs once, and
        both callers get its result, for as long as results are kept (an hour). A caller that cancels it, or waits until
        its time is up, cancels it for both.
        """
        check_sending(timeout_s, job_id)
        return self._send(request, timeout_s, job_id or str(uuid.uuid4()))

    def dead_letters(self) -> list[tuple[str, DeadLetter]]:
        """List the jobs that were put aside instead of being run (again), as (id, letter), oldest first."""
        return self._dead.all()

    def dead_letter(self, letter_id: str) -> tuple[str, DeadLetter]:
        """Find a dead letter by its id, or a job's newest one by the job's id; raises `InvalidRequest`."""
        return self._dead.find(letter_id)

    def retry_dead(self, letter_id: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Job[Any]:
        """Send a dead letter's request again, under its job's id, with a new deadline, and remove the letter.

        Raises `InvalidRequest` if there is no such letter or no complete request in it, and `BlobMissing` if its images
        are no longer kept; then the letter stays.
        """
        return self._dead.retry(letter_id, check_seconds("timeout_s", timeout_s), self._send)

    def drop_dead(self, letter_id: str) -> None:
        """Remove a dead letter, named as for `dead_letter`; raises `InvalidRequest` if there is none."""
        self._dead.drop(letter_id)

    def drop_all_dead(self) -> int:
        """Remove all dead letters; returns how many there were."""
        return self._dead.drop_all()

    def _put(self, question: Question, *, job_id: str | None = None, stream: bool = False) -> Job[AskResult]:
        check_sending(question.timeout_s, job_id)
        ask = question.stored(self._link, stream=stream)
        return self.submit(ask, timeout_s=question.timeout_s, job_id=job_id)

    def _send(self, request: Request[R], timeout_s: float, job_id: str) -> Job[R]:
        checked(request)
        call = scope.get()
        if call is not None:
            call.check()
        now_unix_s = self._link.now_unix_s()
        dated = request.model_copy(update={"sent_unix_s": now_unix_s, "deadline_unix_s": now_unix_s + timeout_s})
        job = Job(
            self._sender.send(dated, job_id),
            request.read_result,
            sender=self._sender,
            link=self._link,
            timeout_s=timeout_s,
            worker_grace_s=self._worker_grace_s,
        )
        if call is not None:
            call.add(job)
        return job

    def _event_reader(self, since: str | None, timeout_s: float | None) -> EventReader:
        return EventReader(self._link, since, timeout_s)

    def _run_embed(self, request: EmbedImages | EmbedTexts, timeout_s: float, /) -> EmbeddingResult:
        return self._finish(self.submit(request, timeout_s=timeout_s))

    def _finish(self, job: Job[R]) -> R:
        try:
            return job.result()
        except KeyboardInterrupt:
            # The caller has no `Job` to cancel.
            job.cancel()
            raise
