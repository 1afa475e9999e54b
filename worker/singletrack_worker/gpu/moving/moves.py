"""The four steps that move a tenant, each verified against the driver and recorded as a receipt."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from singletrack_tasks.errors import SingletrackError, VlmLoadFailed
from singletrack_tasks.result import StepName, StepReceipt
from singletrack_tasks.status import ModelState
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.receipts import Move
from singletrack_worker.gpu.known.release import Owed
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.moving.planner import Demand
from singletrack_worker.gpu.moving.releasing import Freed, Releasing
from singletrack_worker.gpu.retries import retrying
from singletrack_worker.gpu.tenants import Tenants, VlmListing
from singletrack_worker.settings import GPUResourceConfig

_log = logging.getLogger(__name__)


@dataclass
class _Tally:
    """The progress of a step: the attempts so far, and how much of the memory of a tenant that left came back."""

    attempts: int = 1
    freed: Freed = field(default_factory=Freed)


class Mover:
    """Executes steps; nothing else loads, unloads, promotes or demotes."""

    def __init__(self, config: GPUResourceConfig, tenants: Tenants, track: Track, clock: Clock) -> None:
        self._config = config
        self._vram, self._vlm, self._clip = tenants.vram, tenants.vlm, tenants.clip
        self._track = track
        self._clock = clock
        self._releasing = Releasing(tenants.vram, clock, config.vram_release_timeout_s)
        # VRAM that our last load took by the driver's figures (MiB): the server's figure may cover several GPUs.
        self._took_mb: int | None = None

    def make(self, step: StepName, demand: Demand, cancellation: Cancellation) -> Move:
        """Execute one step; a step that fails returns its error with the receipt instead of raising it."""
        tally = _Tally()
        actions: dict[StepName, Callable[[], None]] = {
            "unload_vlm": lambda: self._unload_vlm(tally),
            "load_vlm": lambda: self._load_vlm(demand, cancellation, tally),
            "demote_clip": lambda: self._demote_clip(tally),
            "promote_clip": self._clip.promote,
        }
        before_mb, started = self._used_mb(), self._clock.monotonic()
        error: SingletrackError | None = None
        try:
            actions[step]()
        except SingletrackError as failure:
            _log.warning("%s failed: %s", step, failure)
            error = failure
        after_mb = self._used_mb()
        if step != "unload_vlm":
            own_mb = self._track.footprints.clip_mb if step == "promote_clip" and error is None else None
            self._track.release.shift(before_mb, after_mb, at_least_mb=own_mb)
        freed = tally.freed
        if freed.limit_mb is not None:
            self._track.release.is_late(freed.limit_mb)
        receipt = StepReceipt(
            step=step,
            ok=error is None,
            verified=error is None and not tally.freed.unread and None not in (before_mb, after_mb),
            vram_before_mb=before_mb,
            vram_after_mb=after_mb,
            duration_s=max(0.0, self._clock.monotonic() - started),
            attempts=tally.attempts,
            detail=str(error or freed.shortfall),
            taken_mb=freed.taken_mb,
            left_mb=freed.left_mb,
            usable_after_s=freed.usable_after_s,
            released_after_s=freed.released_after_s,
        )
        return Move(receipt, error)

    def _load_vlm(self, demand: Demand, cancellation: Cancellation, tally: _Tally) -> None:
        life = self._track.life
        life.to(ModelState.LOADING)
        before_mb = self._used_mb()
        attempts = self._config.retry_attempts if demand.retried else 1
        tries = retrying(self._clock, attempts=attempts, pause_s=self._config.retry_pause_s, cancellation=cancellation)
        try:
            tries(self._load_once)
        except BaseException:
            life.to(ModelState.FAILED)
            raise
        finally:
            tally.attempts = int(tries.statistics.get("attempt_number", 1))
        life.to(ModelState.LOADED)
        after_mb = self._used_mb()
        self._took_mb = None if before_mb is None or after_mb is None else max(0, after_mb - before_mb)

    def _load_once(self) -> None:
        self._vlm.load()
        if self._vlm.listing() is None:
            raise VlmLoadFailed(
                f"the server loaded {self._vlm.model} but no longer lists it: it did not fit, or was evicted"
            )

    def _unload_vlm(self, tally: _Tally) -> None:
        release = self._track.release
        listing = self._vlm.listing()
        before_mb = self._used_mb()
        self._track.life.to(ModelState.UNLOADING)
        self._vlm.unload()
        if listing is not None and before_mb is not None:
            release.vlm_goes(self._owed(before_mb, listing))
        self._releasing.wait(self._vlm.model, release.of_vlm, tally.freed)
        release.vlm_is_gone()
        self._took_mb = None
        self._track.life.to(ModelState.UNLOADED)

    def _owed(self, before_mb: int, listing: VlmListing) -> Owed:
        """What the driver should report as freed: for certain, never more than it saw the model take.

        A load during which others freed memory seems to take little or nothing, so the footprint counts as well.
        """
        footprint_mb = self._track.footprints.vlm_mb or 0
        seen_mb = max(self._took_mb or 0, footprint_mb)
        taken_mb = min(listing.vram_mb, seen_mb) if seen_mb else listing.vram_mb
        # The server's figure leaves out CUDA's part, and the vision part of some models.
        whole_mb = footprint_mb if listing.vram_mb >= listing.size_mb else 0
        return Owed(before_mb, taken_mb, max(taken_mb, whole_mb))

    def _demote_clip(self, tally: _Tally) -> None:
        before_mb = self._used_mb()
        whole_mb = self._track.footprints.clip_mb or 0
        # Another process may have taken the rest amid the migration that the footprint was learned from.
        certain_mb = min(whole_mb, self._config.clip_mb)
        self._clip.demote()
        self._releasing.wait("CLIP", Owed(before_mb, certain_mb, whole_mb), tally.freed)

    def _used_mb(self) -> int | None:
        vram = self._vram.read()
        return None if vram is None else vram.used_mb
