"""What is known of a track between its operations."""

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.events import AnyEvent, Degraded, Recovered
from singletrack_tasks.result import Degradation
from singletrack_worker.gpu.known.footprints import Footprints
from singletrack_worker.gpu.known.journal import Journal
from singletrack_worker.gpu.known.reasons import Reasons
from singletrack_worker.gpu.known.release import Release
from singletrack_worker.gpu.known.states import VlmLife
from singletrack_worker.gpu.known.vlm_use import VlmUse
from singletrack_worker.gpu.ports import Clock, Stores, VlmListing
from singletrack_worker.settings import GPUResourceConfig


class Track:
    """The memory of one track, in one place: what survives its worker, and what was seen since it started.

    `listing` is what the server last listed of the model, `server_error` why it did not answer when it was last asked.
    """

    def __init__(self, config: GPUResourceConfig, clock: Clock, stores: Stores) -> None:
        self._clock = clock
        self._memory, self._publisher = stores.memory, stores.publisher
        self.saved = stores.memory.load()
        self.life = VlmLife()
        self.footprints = Footprints(self.saved, config)
        self.use = VlmUse(self.saved, clock, config.idle_timeout_s)
        self.reasons = Reasons(clock.time, self._reason_changed)
        self.journal = Journal(self.saved, clock, stores.telemetry)
        self.release = Release()
        self.listing: VlmListing | None = None
        self.server_error: SingletrackError | None = None

    def save(self) -> None:
        """Save what has to survive."""
        self._memory.save(self.saved)

    def resume(self) -> None:
        """Take over the state that another worker saved meanwhile."""
        self.saved.adopt(self._memory.load())
        self.use.resume()

    def emit(self, event: AnyEvent) -> None:
        """Tell of something that happened."""
        self._publisher.emit(event)

    def _reason_changed(self, reason: Degradation, holds: bool) -> None:
        at = self._clock.time()
        self.emit(Degraded(at_unix_s=at, reason=reason) if holds else Recovered(at_unix_s=at, reason=reason))
