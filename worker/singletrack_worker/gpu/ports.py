"""The narrow interfaces through which the manager acts; real parts, simulated ones and fakes all implement them."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from singletrack_tasks.errors import EncoderFailure, SingletrackError
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.schema import JsonSchema
from singletrack_tasks.status import ClipModel, ExecutionMode, GpuInfo, GPUResourceStatus, LeaseInfo, VRAMInfo
from singletrack_tasks.vlm import VlmOptions


class Clock(Protocol):
    """Time, so that tests can own it."""

    def time(self) -> float:
        """Return Unix time in seconds, by the clock that all machines share."""

    def monotonic(self) -> float:
        """Return seconds since some moment; never goes back."""

    def sleep(self, duration_s: float) -> None:
        """Wait."""


class SystemClock:
    """This machine's clock, set to the one that all machines share.

    Between two settings it runs with the monotonic clock: somebody who sets this machine's wall clock changes
    neither deadlines nor the age of a status.
    """

    def __init__(self) -> None:
        self._zero_unix_s = 0.0
        self.set(time.time())

    def set(self, unix_s: float) -> None:
        """Say what Unix time it is now, in seconds."""
        self._zero_unix_s = unix_s - time.monotonic()

    def time(self) -> float:
        """Return Unix time in seconds."""
        return self._zero_unix_s + time.monotonic()

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Wait."""
        time.sleep(duration_s)


class Cancellation:
    """Breaks off one operation from another thread: what is waiting registers how to wake it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._wake: Callable[[], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the operation was called off."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Call the operation off; safe from any thread, and more than once."""
        with self._lock:
            self._cancelled.set()
            wake = self._wake
        if wake is not None:
            wake()

    def on_cancel(self, wake: Callable[[], None] | None) -> None:
        """Register what wakes the operation (None: nothing any more); called at once if it was called off already."""
        with self._lock:
            self._wake = wake
            cancelled = self._cancelled.is_set()
        if cancelled and wake is not None:
            wake()


@dataclass(frozen=True)
class VlmListing:
    """What the server lists of a loaded model: its size, and how much of it is on the GPU, MiB."""

    size_mb: int
    vram_mb: int


@dataclass(frozen=True)
class OtherModel:
    """A model that somebody else has loaded at the server: its size, and how much of it is on the GPU, MiB."""

    name: str
    size_mb: int
    vram_mb: int


@dataclass(frozen=True)
class VlmAnswer:
    """One raw answer with the server's own figures."""

    text: str
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_s: float | None = None
    generate_s: float | None = None


def ignore_text(text: str) -> None:
    """Hear of a piece of an answer that nobody waits for."""


class Vlm(Protocol):
    """A VLM on a server."""

    @property
    def model(self) -> str:
        """Return the name of the model."""

    def listing(self) -> VlmListing | None:
        """Return what the server lists of the model, None if it is not loaded; raises `OllamaUnreachable`."""

    @property
    def others(self) -> tuple[OtherModel, ...]:
        """Return the other models that the server listed when `listing` was last answered."""

    def load(self) -> None:
        """Load the model, one attempt; returns when it is listed.

        Raises `OllamaUnreachable`, `ModelMissing`, `OllamaFailure`.
        """

    def unload(self) -> None:
        """Unload the model; returns when it is no longer listed.

        A model that is still loading is waited for first. Raises `OllamaUnreachable`, `VlmUnloadFailed`.
        """

    def unload_other(self, name: str) -> None:
        """Unload a model that is none of ours; returns when it is no longer listed, at once if it was not loaded.

        One that is at work for somebody is waited for a moment only. Raises `OllamaUnreachable`, `OllamaFailure`,
        `VlmUnloadFailed`.
        """

    def ask(
        self,
        prompt: str,
        images: Sequence[bytes],
        json_schema: JsonSchema | None,
        options: VlmOptions,
        cancellation: Cancellation,
        on_text: Callable[[str], None] = ignore_text,
    ) -> VlmAnswer:
        """Put a question, one attempt; `on_text` hears of each piece of the answer as it comes, about a token.

        Raises `OllamaUnreachable`, `OllamaFailure`, `ModelMissing`, `InvalidImage` for an image that the server
        cannot read, and `JobCancelled` once `cancellation` is: the server then stops generating, too.
        """

    def close(self) -> None:
        """End connections."""


class Clip(Protocol):
    """CLIP in encoder processes: one on the CPU that lives on, one on the GPU that comes and goes."""

    @property
    def model(self) -> ClipModel | None:
        """Return which CLIP this is, None until it was started with success."""

    @property
    def device(self) -> str:
        """Return the device of the encoder that serves: `cpu` or `cuda:n`."""

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """Return the process ids of the CPU's and the GPU's encoder."""

    @property
    def given_up(self) -> EncoderFailure | None:
        """Return why the last encoder on the GPU was given up, None where it was not."""

    def start(self) -> None:
        """Start the CPU encoder; raises `ClipUnavailable` if there are no weights, `EncoderFailure`."""

    def check(self) -> None:
        """Notice encoders that died: start the CPU's again, fall back to it from the GPU's.

        Raises `EncoderFailure` or `ClipUnavailable` if none can be had.
        """

    def promote(self) -> None:
        """Migrate to the GPU: start its encoder, compare canaries, switch; raises `MigrationFailed`."""

    def demote(self) -> None:
        """Migrate to the CPU by ending the GPU's encoder; always succeeds."""

    def find(self) -> str:
        """Ask the encoder that serves for the device of its weights; raises `EncoderFailure`."""

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        """Embed images made by `images.prepare`: unit rows, n x dimension; raises `EncoderFailure`."""

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        """Embed texts: unit rows, n x dimension; raises `EncoderFailure`."""

    def stop(self) -> None:
        """End all encoder processes, for good."""


class Vram(Protocol):
    """The driver's view of one GPU's memory."""

    @property
    def gpu(self) -> GpuInfo | None:
        """Return which GPU this is, None where there is none."""

    @property
    def reason(self) -> str:
        """Return why there is no GPU, and what to do; empty where there is one."""

    def read(self) -> VRAMInfo | None:
        """Read the memory now, None where there is no GPU."""

    def processes(self) -> tuple[GpuProcess, ...]:
        """List the processes that have memory on the GPU, by pid; empty where the driver does not say."""

    def close(self) -> None:
        """Let go of the driver."""


@dataclass(frozen=True)
class Tenants:
    """The GPU and the two that share it."""

    vram: Vram
    vlm: Vlm
    clip: Clip


class Blobs(Protocol):
    """Where payloads come from."""

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """Fetch payloads in order; raises `BlobMissing`."""


class VectorCache(Protocol):
    """Where embeddings are kept for those who ask again."""

    def put(self, fingerprint: str, sha256s: Sequence[str], vectors: Vector) -> None:
        """Keep embeddings under the hashes of their inputs."""


class Publisher(Protocol):
    """Where the status and the events go; a store that is away is logged and never stops an operation."""

    def changed(self) -> None:
        """Say that the status changed: it is published soon; returns at once."""

    def publish(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Take a snapshot and make it the current status, before the caller of an operation hears of its result."""

    def emit(self, event: AnyEvent) -> None:
        """Add an event to the stream."""


class Answers(Protocol):
    """Where answers go while they are written; a store that is away is logged and never stops an operation."""

    def tell(self, job_id: str, attempt: int, text: str) -> None:
        """Add a piece of the answer to a job's question, which begins anew with each attempt."""

    def flush(self, job_id: str) -> None:
        """Write what was gathered of it: this answer has ended, and the job's next one, if any, begins anew."""


Ending = Literal["ok", "failed", "cancelled", "expired"]


@dataclass(frozen=True)
class EndedOperation:
    """One operation that had its turn: how it ended and what it took (seconds).

    `work_s` leaves out a wait for CLIP to start and the steps that made the GPU ready, of which there were `moves`.
    `waited_s` is None for a request that does not say when it was sent, `retries` counts the questions that were put
    again, `answer_tokens` the tokens that were heard of their answers.
    """

    kind: str
    job_id: str
    outcome: Ending
    error: str | None
    waited_s: float | None
    duration_s: float
    work_s: float
    moves: int
    retries: int
    out_of_memory: bool = False
    answer_tokens: int = 0


class Telemetry(Protocol):
    """Who counts what happens; called in the thread of the operation, and never fails."""

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Hear of a step of a transition, and why it failed if it did."""

    def ended(self, operation: EndedOperation) -> None:
        """Hear of an operation that ended."""


class Cancellations(Protocol):
    """Which jobs their callers gave up before they started."""

    def is_cancelled(self, job_id: str) -> bool:
        """Return whether the job was cancelled."""


@dataclass
class SavedState:
    """What survives a worker: the mode, the VLM's last use (Unix time), learned footprints (MiB) and durations (s).

    A VLM that was unloaded for being idle, or on demand, has no last use: nobody wants it until it is asked.
    """

    mode: ExecutionMode = ExecutionMode.IDLE
    vlm_last_used_unix_s: float | None = None
    footprints_mb: dict[str, int] = field(default_factory=dict)
    durations_s: dict[str, float] = field(default_factory=dict)

    def adopt(self, other: "SavedState") -> None:
        """Become what another state is, figures that only this one knows excepted."""
        self.mode = other.mode
        self.vlm_last_used_unix_s = other.vlm_last_used_unix_s
        self.footprints_mb = {**self.footprints_mb, **other.footprints_mb}
        self.durations_s = {**self.durations_s, **other.durations_s}


class Memory(Protocol):
    """Where the saved state is."""

    def load(self) -> SavedState:
        """Read it; the default state if there is none."""

    def save(self, state: SavedState) -> None:
        """Write it."""


@dataclass(frozen=True)
class Stores:
    """Where payloads come from, and where embeddings, answers, state, status, events and counts go."""

    blobs: Blobs
    cache: VectorCache
    memory: Memory
    publisher: Publisher
    cancellations: Cancellations
    answers: Answers
    telemetry: Telemetry
    lease: Callable[[], LeaseInfo | None]
