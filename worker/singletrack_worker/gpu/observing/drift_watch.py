"""Finds at each check what is on the GPU that is not ours, reports it, and unloads foreign models if configured to."""

import logging
from collections.abc import Iterable

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.events import DriftChanged
from singletrack_tasks.status import Drift, ExecutionMode, ModelState
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.observing.drift import DriftJudge, Key, Sighting, key_of
from singletrack_worker.gpu.observing.observed import Observed
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.observing.shares import ProcessSorter, Share, Sorted, measured, of_clip, of_others, of_vlm
from singletrack_worker.gpu.tenants import Tenants
from singletrack_worker.settings import GPUResourceConfig

# The part of the check interval that two looks have to be apart: beat is not punctual.
CONFIRM_PART = 0.5

_log = logging.getLogger(__name__)


class DriftWatch:
    """Maintains the drift for the status; the caller holds the mutex."""

    def __init__(
        self, config: GPUResourceConfig, tenants: Tenants, track: Track, clock: Clock, observer: Observer
    ) -> None:
        self._config = config
        self._vram, self._vlm, self._clip = tenants.vram, tenants.vlm, tenants.clip
        self._track = track
        self._clock = clock
        self._observer = observer
        # A tenant's late memory must not count as a stranger's; capped so that the next check can confirm a suspect.
        self._judge = DriftJudge(min(config.vram_release_timeout_s, config.tick_interval_s * CONFIRM_PART))
        self._sorter = ProcessSorter()
        self._current: tuple[Drift, ...] = ()
        self._logged_holders: frozenset[Key] | None = None

    @property
    def current(self) -> tuple[Drift, ...]:
        """The drift as of the last check; safe from any thread."""
        return self._current

    def look(self, observed: Observed, mode: ExecutionMode) -> Observed:
        """Judge an observation before anything moves; returns it, or a new one after foreign models were unloaded."""
        self._take_in(observed)
        if self._config.foreign_models == "unload" and observed.vlm is not ModelState.UNAVAILABLE and self._vlm.others:
            observed = self._unload_others()
            self._take_in(observed)
        self._log_missing_room(observed, mode)
        return observed

    def _take_in(self, observed: Observed) -> None:
        is_first = self._judge.baseline_mb is None
        before, self._current = self._current, self._judge.judge(self._see(observed))
        for drift in _without(self._current, before):
            _log.warning("drift: %s is not ours", drift_text(drift))
            self._track.emit(DriftChanged(at_unix_s=self._clock.time(), drift=drift))
        for drift in _without(before, self._current):
            _log.info("drift is over: %s is gone", drift_text(drift))
            self._track.emit(DriftChanged(at_unix_s=self._clock.time(), drift=drift, over=True))
        if is_first and self._judge.baseline_mb is not None:
            _log.info("%d MB of VRAM in use have no known owner and count as the desktop's", self._judge.baseline_mb)

    def _see(self, observed: Observed) -> Sighting:
        answers = observed.vlm is not ModelState.UNAVAILABLE
        is_idle = answers and self._track.listing is None and not self._vlm.others and not observed.unreleased
        was_reliable = self._sorter.reliable
        found = self._sorter.sort(self._vram.processes(), self._clip.pids, ollama_is_idle=is_idle)
        if was_reliable and not self._sorter.reliable:
            self._judge.forget_processes()
        return Sighting(
            at_s=self._clock.monotonic(),
            at_unix_s=self._clock.time(),
            used_mb=None if observed.vram is None else observed.vram.used_mb,
            models=self._vlm.others if answers else None,
            share=self._share(observed, found) if answers and not observed.unreleased else None,
            strangers=found.strangers,
        )

    def _share(self, observed: Observed, found: Sorted) -> Share:
        """The share of the tenants and others' models; the server has answered, so a loaded VLM is listed."""
        clip, models = Share(), of_others(self._vlm.others)
        if observed.clip_on_gpu:
            clip = of_clip(self._track.footprints.clip_mb, self._config.clip_mb)
        if self._track.listing is not None:
            models += of_vlm(self._track.listing, self._track.footprints.vlm_mb)
        clip = clip if found.clip_mb is None else measured(found.clip_mb)
        return clip + (models if found.ollama_mb is None else measured(found.ollama_mb))

    def _unload_others(self) -> Observed:
        for other in self._vlm.others:
            before, started_s = self._vram.read(), self._clock.monotonic()
            try:
                self._vlm.unload_other(other.name)
            except SingletrackError as error:
                _log.warning("drift: the model %s was not unloaded: %s", other.name, error)
                continue
            after, took_s = self._vram.read(), self._clock.monotonic() - started_s
            used = "no GPU"
            if before is not None and after is not None:
                self._track.release.shift(before.used_mb, after.used_mb)
                used = f"{before.used_mb} -> {after.used_mb} MB in use"
            _log.warning("drift: the model %s was unloaded: %s, %.2f s", other.name, used, took_s)
        return self._observer.observe()

    def _log_missing_room(self, observed: Observed, mode: ExecutionMode) -> None:
        """Log once that CLIP does not fit in AUTOPILOT although the VLM is gone, and what takes the room."""
        is_owed = mode is ExecutionMode.AUTOPILOT and observed.clip_ready and not observed.clip_on_gpu
        vlm_is_gone = observed.vlm in (ModelState.UNLOADED, ModelState.FAILED)
        vram = observed.vram
        if not is_owed or not vlm_is_gone or vram is None or vram.free_mb >= observed.clip_needs_mb:
            self._logged_holders = None
            return
        holders = frozenset(key_of(drift) for drift in self._current)
        if self._logged_holders != holders:
            _log.info(
                "CLIP stays on the CPU: it needs %d MB of VRAM and %d are free; %s",
                observed.clip_needs_mb,
                vram.free_mb,
                ", ".join(drift_text(drift) for drift in self._current) or "the rest has no known owner",
            )
        self._logged_holders = holders


def drift_text(drift: Drift) -> str:
    """Describe a drift with its figures."""
    if drift.what == "foreign_model":
        return f"the model {drift.name} with {drift.vram_mb or 0} MB of VRAM"
    pid = "" if drift.pid is None else f" (pid {drift.pid})"
    return f"{drift.name}{pid} with {drift.vram_mb or 0} MB of VRAM"


def _without(some: Iterable[Drift], others: Iterable[Drift]) -> list[Drift]:
    known = {key_of(drift) for drift in others}
    return [drift for drift in some if key_of(drift) not in known]
