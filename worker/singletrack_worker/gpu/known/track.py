"""The memory of a track between its operations."""

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.events import AnyEvent, Degraded, Recovered, VlmIntentEnded
from singletrack_tasks.result import Degradation
from singletrack_tasks.status import IntentEnd
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.checks import Checks
from singletrack_worker.gpu.known.footprints import Footprints
from singletrack_worker.gpu.known.intents import Intents
from singletrack_worker.gpu.known.journal import Journal
from singletrack_worker.gpu.known.reasons import Reasons
from singletrack_worker.gpu.known.release import Release
from singletrack_worker.gpu.known.states import VlmLife
from singletrack_worker.gpu.known.vlm_use import VlmUse
from singletrack_worker.gpu.stores import Stores
from singletrack_worker.gpu.tenants import VlmListing
from singletrack_worker.settings import GPUResourceConfig


class Track:
    """The memory of one track: the state that outlives its worker, and everything observed since the worker started.

    `listing` is the server's last listing of the model, `server_error` why the server did not answer last time.
    """

    def __init__(self, config: GPUResourceConfig, clock: Clock, stores: Stores) -> None:
        self._clock = clock
        self._memory, self._publisher = stores.memory, stores.publisher
        self.saved = stores.memory.load()
        self.life = VlmLife()
        self.footprints = Footprints(self.saved, config)
        self.use = VlmUse(self.saved, clock, config.idle_timeout_s)
        self.reasons = Reasons(clock.time, self._reason_changed)
        self.checks = Checks(clock, self.reasons, config.tick_interval_s)
        self.journal = Journal(self.saved, clock, stores.telemetry)
        self.intents = Intents(clock, self._lead_s, self._intent_ended)
        self.release = Release()
        self.listing: VlmListing | None = None
        self.server_error: SingletrackError | None = None

    def save(self) -> None:
        """Save the state that outlives the worker."""
        self._memory.save(self.saved)

    def resume(self) -> None:
        """Take over the state that another worker saved meanwhile."""
        self.saved.adopt(self._memory.load())
        self.use.resume()
        self.intents.drop()

    def emit(self, event: AnyEvent) -> None:
        """Emit an event."""
        self._publisher.emit(event)

    def _lead_s(self) -> float | None:
        """How long before it is needed the VLM has to be loaded: the check after the next one would be too late."""
        load_s = self.journal.durations_s.get("load_vlm")
        return None if load_s is None else load_s + self.checks.every_s

    def _intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        self.journal.intent_ended(outcome, saved_s)
        self.emit(VlmIntentEnded(at_unix_s=self._clock.time(), outcome=outcome, saved_s=round(saved_s, 3)))

    def _reason_changed(self, reason: Degradation, holds: bool) -> None:
        at = self._clock.time()
        self.emit(Degraded(at_unix_s=at, reason=reason) if holds else Recovered(at_unix_s=at, reason=reason))
