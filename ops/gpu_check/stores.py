"""The stores of a manager without a worker around it, in memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from singletrack_tasks.errors import BlobMissing, SingletrackError
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import GPUResourceStatus, IntentEnd
from singletrack_worker.gpu.stores import EndedOperation, SavedState, Stores


class KeptState:
    """What would survive a worker."""

    def __init__(self) -> None:
        self.state = SavedState()

    def load(self) -> SavedState:
        """Read it."""
        return replace(self.state)

    def save(self, state: SavedState) -> None:
        """Write it."""
        self.state = replace(state, footprints_mb=dict(state.footprints_mb))


class KeptSteps:
    """Every step with its error."""

    def __init__(self) -> None:
        self.moves: list[tuple[StepReceipt, SingletrackError | None]] = []

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Keep it."""
        self.moves.append((receipt, error))

    def ended(self, operation: EndedOperation) -> None:
        """Nothing is kept of it."""

    def intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        """Nothing is kept of it."""


class Nothing:
    """What nobody asks for: no payloads, no cache, no cancellations, no listeners."""

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """There is none."""
        if blobs:
            raise BlobMissing("the check has no payloads")
        return []

    def put(self, fingerprint: str, sha256s: Sequence[str], vectors: Vector, truncated: Sequence[bool]) -> None:
        """Nothing is cached."""

    def changed(self) -> None:
        """Nobody listens."""

    def publish(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Nobody listens, but a snapshot has to be possible."""
        snapshot()

    def emit(self, event: AnyEvent) -> None:
        """Nobody listens."""

    def is_cancelled(self, job_id: str) -> bool:
        """Nobody cancels."""
        return False

    def tell(self, job_id: str, attempt: int, text: str) -> None:
        """Nobody listens."""

    def flush(self, job_id: str) -> None:
        """Nobody listens."""


def make_stores(memory: KeptState, steps: KeptSteps) -> Stores:
    """Make all stores of a manager."""
    nothing = Nothing()
    return Stores(nothing, nothing, memory, nothing, nothing, nothing, steps)
