"""The stores of a manager, in memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from singletrack_tasks.errors import BlobMissing, SingletrackError
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import GPUResourceStatus, IntentEnd
from singletrack_worker.gpu.kept_thread import Troubles
from singletrack_worker.gpu.stores import EndedOperation, SavedState, Stores
from tests.fakes.hold import FakeHold


class MemoryBlobs:
    """Payloads in a dict."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}

    def add(self, data: bytes, blob: Blob) -> Blob:
        """Keep a payload under its description."""
        self._payloads[blob.sha256] = data
        return blob

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """Fetch payloads."""
        missing = [blob.sha256 for blob in blobs if blob.sha256 not in self._payloads]
        if missing:
            raise BlobMissing(f"no payload {missing[0][:12]}")
        return [self._payloads[blob.sha256] for blob in blobs]


class MemoryVectorCache:
    """Embeddings in a dict, by fingerprint and hash of the input."""

    def __init__(self) -> None:
        self.vectors: dict[tuple[str, str], Vector] = {}
        self.truncated: set[str] = set()

    def put(self, fingerprint: str, sha256s: Sequence[str], vectors: Vector, truncated: Sequence[bool]) -> None:
        """Keep embeddings."""
        for sha256, vector, cut in zip(sha256s, vectors, truncated, strict=True):
            self.vectors[fingerprint, sha256] = vector
            if cut:
                self.truncated.add(sha256)


class MemoryState:
    """What survives a worker, as copies: nothing that a dead worker still holds changes it."""

    def __init__(self) -> None:
        self._state = SavedState()

    def load(self) -> SavedState:
        """Read it."""
        return _copy(self._state)

    def save(self, state: SavedState) -> None:
        """Write it."""
        self._state = _copy(state)


class RecordingPublisher:
    """Keeps every status and every event; `on_changed` hears that the status changed."""

    def __init__(self) -> None:
        self.statuses: list[GPUResourceStatus] = []
        self.events: list[AnyEvent] = []
        self.on_changed: Callable[[], None] = lambda: None

    def changed(self) -> None:
        """Pass it on."""
        self.on_changed()

    def publish(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Keep a status."""
        self.statuses.append(snapshot())

    def emit(self, event: AnyEvent) -> None:
        """Keep an event."""
        self.events.append(event)


class MemoryCancellations:
    """The ids of cancelled jobs in a set."""

    def __init__(self) -> None:
        self.job_ids: set[str] = set()

    def is_cancelled(self, job_id: str) -> bool:
        """Whether the job was cancelled."""
        return job_id in self.job_ids


class MemoryAnswers:
    """The pieces of answers by job, as (attempt, text)."""

    def __init__(self) -> None:
        self.pieces: dict[str, list[tuple[int, str]]] = {}
        self.flushed: list[str] = []

    def tell(self, job_id: str, attempt: int, text: str) -> None:
        """Keep a piece."""
        self.pieces.setdefault(job_id, []).append((attempt, text))

    def flush(self, job_id: str) -> None:
        """Note it."""
        self.flushed.append(job_id)


class RecordingTelemetry:
    """Keeps every step and every operation."""

    def __init__(self) -> None:
        self.moves: list[tuple[StepReceipt, SingletrackError | None]] = []
        self.operations: list[EndedOperation] = []
        self.intents: list[tuple[IntentEnd, float]] = []

    def intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        """Keep how an announced need ended."""
        self.intents.append((outcome, saved_s))

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Keep a step."""
        self.moves.append((receipt, error))

    def ended(self, operation: EndedOperation) -> None:
        """Keep an operation."""
        self.operations.append(operation)


class MemoryStores:
    """All the stores that a manager needs, with their own types, so that a test can look into them."""

    def __init__(self) -> None:
        self.blobs = MemoryBlobs()
        self.cache = MemoryVectorCache()
        self.memory = MemoryState()
        self.publisher = RecordingPublisher()
        self.cancellations = MemoryCancellations()
        self.answers = MemoryAnswers()
        self.telemetry = RecordingTelemetry()
        self.hold = FakeHold()
        self.troubles = Troubles()

    def all(self) -> Stores:
        """Give them to a manager."""
        return Stores(
            self.blobs,
            self.cache,
            self.memory,
            self.publisher,
            self.cancellations,
            self.answers,
            self.telemetry,
            self.hold,
            self.troubles,
        )


def _copy(state: SavedState) -> SavedState:
    return replace(state, footprints_mb=dict(state.footprints_mb), durations_s=dict(state.durations_s))
