"""Looks at each check for what is none of ours on the GPU, tells of it, and sends models away where that is wanted."""

import logging
from collections.abc import Iterable

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.events import DriftChanged
from singletrack_tasks.status import Drift, ExecutionMode, ModelState
from singletrack_worker.gpu.known.track import Track
from singletrack_worker.gpu.observing.drift import DriftJudge, Key, Sighting, key_of
from singletrack_worker.gpu.observing.observed import Observed
from singletrack_worker.gpu.observing.observer import Observer
from singletrack_worker.gpu.observing.shares import ProcessSorter, Share, Sorted, measured, of_clip, of_others, of_vlm
from singletrack_worker.gpu.ports import Clock, Tenants
from singletrack_worker.settings import GPUResourceConfig

# The part of the interval between two checks that two looks have to lie apart: beat is not punctual.
CONFIRM_PART = 0.5

_log = logging.getLogger(__name__)


class DriftWatch:
    """Keeps what is none of ours for the status; the caller holds the mutex."""

    def __init__(
        self, config: GPUResourceConfig, tenants: Tenants, track: Track, clock: Clock, observer: Observer
    ) -> None:
        self._config = config
        self._vram, self._vlm, self._clip = tenants.vram, tenants.vlm, tenants.clip
        self._track = track
        self._clock = clock
        self._observer = observer
        # Memory that is late is no stranger's, for as long as it may be late.
        self._judge = DriftJudge(min(config.vram_release_timeout_s, config.tick_interval_s * CONFIRM_PART))
        self._sorter = ProcessSorter()
        self._current: tuple[Drift, ...] = ()
        self._told_of_room: frozenset[Key] | None = None

    @property
    def current(self) -> tuple[Drift, ...]:
        """What is there that is none of ours, as of the last check; safe from any thread."""
        return self._current

    def look(self, observed: Observed, mode: ExecutionMode) -> Observed:
        """Judge what was observed before a check moves anything; returns it, observed anew if a model was sent away."""
        self._take_in(observed)
        if self._config.foreign_models == "unload" and observed.vlm is not ModelState.UNAVAILABLE and self._vlm.others:
            observed = self._unload_others()
            self._take_in(observed)
        self._tell_of_room(observed, mode)
        return observed

    def _take_in(self, observed: Observed) -> None:
        is_first = self._judge.baseline_mb is None
        before, self._current = self._current, self._judge.judge(self._see(observed))
        for drift in _without(self._current, before):
            _log.warning("drift: %s is none of ours", drift_text(drift))
            self._track.emit(DriftChanged(at_unix_s=self._clock.time(), drift=drift))
        for drift in _without(before, self._current):
            _log.info("drift is over: %s is gone", drift_text(drift))
            self._track.emit(DriftChanged(at_unix_s=self._clock.time(), drift=drift, over=True))
        if is_first and self._judge.baseline_mb is not None:
            _log.info(
                "%d MB of VRAM in use are nobody's that is known, and pass for the desktop's", self._judge.baseline_mb
            )

    def _see(self, observed: Observed) -> Sighting:
        answers = observed.vlm is not ModelState.UNAVAILABLE
        is_idle = answers and self._track.listing is None and not self._vlm.others and not observed.unreleased
        told_before = self._sorter.tells
        found = self._sorter.sort(self._vram.processes(), self._clip.pids, ollama_is_idle=is_idle)
        if told_before and not self._sorter.tells:
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
        """What the tenants have, others' models included; a VLM at a server that answers is listed if it is there."""
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
                _log.warning("drift: the model %s was not sent away: %s", other.name, error)
                continue
            after, took_s = self._vram.read(), self._clock.monotonic() - started_s
            used = "no GPU"
            if before is not None and after is not None:
                self._track.release.shift(before.used_mb, after.used_mb)
                used = f"{before.used_mb} -> {after.used_mb} MB in use"
            _log.warning("drift: the model %s was sent away: %s, %.2f s", other.name, used, took_s)
        return self._observer.observe()

    def _tell_of_room(self, observed: Observed, mode: ExecutionMode) -> None:
        """Log, once, that AUTOPILOT goes without CLIP on the GPU although the VLM is not there, and who is."""
        is_owed = mode is ExecutionMode.AUTOPILOT and observed.clip_ready and not observed.clip_on_gpu
        vlm_is_gone = observed.vlm in (ModelState.UNLOADED, ModelState.FAILED)
        vram = observed.vram
        if not is_owed or not vlm_is_gone or vram is None or vram.free_mb >= observed.clip_needs_mb:
            self._told_of_room = None
            return
        holders = frozenset(key_of(drift) for drift in self._current)
        if self._told_of_room != holders:
            _log.info(
                "CLIP stays on the CPU: it needs %d MB of VRAM and %d are free; %s",
                observed.clip_needs_mb,
                vram.free_mb,
                ", ".join(drift_text(drift) for drift in self._current) or "nobody known has the rest",
            )
        self._told_of_room = holders


def drift_text(drift: Drift) -> str:
    """Name it with its figures."""
    if drift.what == "foreign_model":
        return f"the model {drift.name} with {drift.vram_mb or 0} MB of VRAM"
    pid = "" if drift.pid is None else f" (pid {drift.pid})"
    return f"{drift.name}{pid} with {drift.vram_mb or 0} MB of VRAM"


def _without(some: Iterable[Drift], others: Iterable[Drift]) -> list[Drift]:
    known = {key_of(drift) for drift in others}
    return [drift for drift in some if key_of(drift) not in known]
