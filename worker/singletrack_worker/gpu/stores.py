"""Where things come from and go to: what the manager needs of the worker around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus


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
