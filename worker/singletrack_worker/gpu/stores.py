"""The ports through which the manager reaches the stores of the worker around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus, IntentEnd
from singletrack_worker.gpu.hold import Hold, Undisputed
from singletrack_worker.gpu.kept_thread import Troubles


class Blobs(Protocol):
    """Where payloads come from."""

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """Fetch payloads in order; raises `BlobMissing`."""


class VectorCache(Protocol):
    """Where embeddings are cached for repeated requests."""

    def put(self, fingerprint: str, sha256s: Sequence[str], vectors: Vector, truncated: Sequence[bool]) -> None:
        """Store embeddings under the hashes of their inputs, and which of them are of texts that were cut."""


class Publisher(Protocol):
    """Where the status and the events go; an unreachable store is logged and never stops an operation."""

    def changed(self) -> None:
        """Note that the status changed, so that it is published soon; returns at once."""

    def publish(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Take a snapshot and make it the current status, before the caller of an operation gets its result."""

    def emit(self, event: AnyEvent) -> None:
        """Add an event to the stream."""


class Answers(Protocol):
    """Where answers go while they are generated; an unreachable store is logged and never stops an operation."""

    def tell(self, job_id: str, attempt: int, text: str) -> None:
        """Add a piece of the answer to a job's question; each attempt starts the answer over."""

    def flush(self, job_id: str) -> None:
        """Write the pieces buffered so far: the answer has ended, and the job's next one, if any, starts over."""


Ending = Literal["ok", "failed", "cancelled", "expired"]


@dataclass(frozen=True)
class EndedOperation:
    """One operation that had its turn: how it ended and what it took (seconds).

    `work_s` excludes a wait for CLIP to start and the steps that made the GPU ready, of which there were `moves`.
    `waited_s` is None for a request that does not say when it was sent, `retries` counts repeated questions,
    `answer_tokens` the tokens received of the answers.
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
    """Counts what happens; called in the thread of the operation, and never fails."""

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Count a step of a transition, with its error if it failed."""

    def ended(self, operation: EndedOperation) -> None:
        """Count an operation that ended."""

    def intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        """Count an announced need of the VLM that ended, and the seconds of loading that nobody waited for."""


class Cancellations(Protocol):
    """Which jobs were cancelled by their callers."""

    def is_cancelled(self, job_id: str) -> bool:
        """Return whether the job was cancelled."""


@dataclass
class SavedState:
    """State that outlives a worker: the mode, the VLM's last use (Unix time), footprints (MiB) and durations (s).

    A VLM that was unloaded for being idle, or on demand, has no last use: it is not wanted until it is used again.
    """

    mode: ExecutionMode = ExecutionMode.IDLE
    vlm_last_used_unix_s: float | None = None
    footprints_mb: dict[str, int] = field(default_factory=dict)
    durations_s: dict[str, float] = field(default_factory=dict)

    def adopt(self, other: "SavedState") -> None:
        """Take over another state, but keep figures that only this one has."""
        self.mode = other.mode
        self.vlm_last_used_unix_s = other.vlm_last_used_unix_s
        self.footprints_mb = {**self.footprints_mb, **other.footprints_mb}
        self.durations_s = {**self.durations_s, **other.durations_s}


class Memory(Protocol):
    """Where the state is saved."""

    def load(self) -> SavedState:
        """Read it; the default state if none is saved."""

    def save(self, state: SavedState) -> None:
        """Write it."""


@dataclass(frozen=True)
class Stores:
    """Where payloads come from, where all that is made of them goes, and the worker's hold and its troubles."""

    blobs: Blobs
    cache: VectorCache
    memory: Memory
    publisher: Publisher
    cancellations: Cancellations
    answers: Answers
    telemetry: Telemetry
    hold: Hold = field(default_factory=Undisputed)
    troubles: Troubles = field(default_factory=Troubles)
