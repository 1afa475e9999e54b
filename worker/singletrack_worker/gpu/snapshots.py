"""Snapshots of the GPU and its tenants, taken at any moment by any thread."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from singletrack_tasks.events import ResourceChanged
from singletrack_tasks.recording import GpuProcess, Sample
from singletrack_tasks.status import (
    ClipStatus,
    GPUResourceStatus,
    LeaseInfo,
    ModelState,
    VlmStatus,
    VRAMInfo,
    WorkerInfo,
)
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.changes import ChangeDetector
from singletrack_worker.gpu.known.states import RESIDENT
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.observing.drift_watch import DriftWatch
from singletrack_worker.gpu.tenants import Tenants, VlmListing
from singletrack_worker.gpu.turns import Turns
from singletrack_worker.settings import GPUResourceConfig


@dataclass(frozen=True)
class Identity:
    """The worker behind the snapshots, and its lease on the track, None if it has none."""

    worker: WorkerInfo
    lease: Callable[[], LeaseInfo | None]


class Snapshots:
    """Builds a status from the driver's current figures and the last operation's knowledge (R2.1)."""

    def __init__(
        self,
        config: GPUResourceConfig,
        tenants: Tenants,
        track: Track,
        clock: Clock,
        turns: Turns,
        drift: DriftWatch,
        identity: Identity,
    ) -> None:
        self._config = config
        self._vram, self._vlm, self._clip = tenants.vram, tenants.vlm, tenants.clip
        self._track = track
        self._clock = clock
        self._turns = turns
        self._drift = drift
        self._identity = identity
        self._changes = ChangeDetector()
        self._changes_lock = threading.Lock()

    def take(self, *, emit: bool = True) -> GPUResourceStatus:
        """Take one, without waiting for the operation in flight.

        With `emit` it emits `resource_changed` if VRAM changed enough (R2.2), which waits for the event store.
        """
        vram = self._vram.read()
        if emit and vram is not None:
            self._emit_change(vram)
        reasons = self._track.reasons.current()
        return GPUResourceStatus(
            track=self._config.track,
            taken_unix_s=self._clock.time(),
            worker=self._identity.worker,
            lease=self._identity.lease(),
            mode=self._track.saved.mode,
            gpu=self._vram.gpu,
            vram=vram,
            vlm=self._vlm_status(),
            clip=self._clip_status(),
            degraded=bool(reasons),
            reasons=reasons,
            operation=self._turns.operation,
            drift=self._drift.current,
            durations_s=self._track.journal.durations_s,
            last_error=self._track.journal.last_error,
            last_check_unix_s=self._track.checks.last_unix_s,
            intents=self._track.intents.status,
        )

    def sample(self, processes: tuple[GpuProcess, ...]) -> Sample:
        """Take a sample for the flight recorder, given the processes on the GPU; emits nothing."""
        vram, operation = self._vram.read(), self._turns.operation
        return Sample(
            at_unix_s=round(self._clock.time(), 2),
            used_mb=None if vram is None else vram.used_mb,
            vlm_mb=None if vram is None else self._vlm_mb(),
            clip_mb=None if vram is None else self._clip_mb(processes),
            processes=processes,
            mode=self._track.saved.mode,
            vlm=self._track.life.state,
            clip_device=self._clip.device,
            operation=operation.kind if operation else None,
            stage=operation.stage if operation else None,
            job_id=operation.job_id if operation else None,
        )

    def _vlm_mb(self) -> int:
        listing = self._listing(self._track.life.state)
        return listing.vram_mb if listing else 0

    def _listing(self, state: ModelState) -> VlmListing | None:
        """Return the listing, None once the model is gone, even before the server is observed again."""
        return self._track.listing if state in RESIDENT else None

    def _clip_mb(self, processes: tuple[GpuProcess, ...]) -> int | None:
        """CLIP's VRAM: what the driver lists for its process, or else the measured footprint."""
        pid = self._clip.pids[1]
        listed = next((process.vram_mb for process in processes if process.pid == pid), None)
        if listed is not None:
            return listed
        return self._track.footprints.clip_mb if self._clip.device != "cpu" else 0

    def _vlm_status(self) -> VlmStatus:
        state = self._track.life.state
        listing = self._listing(state)
        return VlmStatus(
            model=self._vlm.model,
            state=state,
            size_mb=listing.size_mb if listing else None,
            vram_mb=listing.vram_mb if listing else None,
            footprint_mb=self._track.footprints.vlm_mb,
            last_used_unix_s=self._track.saved.vlm_last_used_unix_s,
            idle_timeout_s=self._config.idle_timeout_s,
        )

    def _clip_status(self) -> ClipStatus:
        cpu_pid, gpu_pid = self._clip.pids
        return ClipStatus(
            model=self._clip.model,
            device=self._clip.device,
            cpu_pid=cpu_pid,
            gpu_pid=gpu_pid,
            footprint_mb=self._track.footprints.clip_mb,
        )

    def _emit_change(self, vram: VRAMInfo) -> None:
        with self._changes_lock:
            before_mb = self._changes.changed_from(vram.used_mb)
        if before_mb is not None:
            at = self._clock.time()
            self._track.emit(
                ResourceChanged(at_unix_s=at, before_mb=before_mb, after_mb=vram.used_mb, total_mb=vram.total_mb)
            )
