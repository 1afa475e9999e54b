"""What is on the GPU that is none of ours, judged from one look after the other: no I/O and no clock in here.

A model that somebody else loaded is certain at once. VRAM is reported when it is there at two looks that lie
`confirm_s` apart: what comes and goes meanwhile (a tenant's late release, a program that starts) is none of it. What
was in use when the worker first looked passes for the desktop's, and counts once it has grown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import Drift
from singletrack_worker.gpu.known.changes import ChangeDetector
from singletrack_worker.gpu.observing.shares import Share
from singletrack_worker.gpu.ports import OtherModel

THRESHOLD_MB = ChangeDetector.THRESHOLD_MB
# What is reported stays so until it has shrunk below this: figures that waver are no news.
OVER_MB = THRESHOLD_MB // 2
# What one process may have had at the first look and still pass for a part of the desktop (MiB).
DESKTOP_MB = 1024
UNKNOWN = "unknown"

Key = tuple[str, str, int | None]
_REST: Key = ("foreign_vram", UNKNOWN, None)


@dataclass(frozen=True)
class Sighting:
    """What one look found, at `at_s` of the monotonic clock: `used_mb` is VRAM in use, None without a GPU.

    `models` are others' models at the server, None if it did not answer. `share` is what our tenants and those
    models have, None if that is not known or not settled. `strangers` are processes that are neither's, with memory.
    """

    at_s: float
    at_unix_s: float
    used_mb: int | None
    models: tuple[OtherModel, ...] | None
    share: Share | None
    strangers: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True)
class _Suspect:
    drift: Drift
    since_s: float
    reported: bool


class DriftJudge:
    """Remembers what is suspected, and what was there from the beginning."""

    def __init__(self, confirm_s: float) -> None:
        self._confirm_s = confirm_s
        self._suspects: dict[Key, _Suspect] = {}
        self._desktop_mb: Mapping[int, int] | None = None
        self._baseline_mb: int | None = None

    @property
    def baseline_mb(self) -> int | None:
        """What nobody known has of the VRAM in use, as little of it as was ever seen (MiB)."""
        return self._baseline_mb

    def forget_processes(self) -> None:
        """From now on nobody names processes: what passed for the desktop's by name passes for it without."""
        if self._baseline_mb is not None and self._desktop_mb:
            self._baseline_mb += sum(self._desktop_mb.values())
            self._desktop_mb = {}

    def judge(self, sighting: Sighting) -> tuple[Drift, ...]:
        """Take in a look, and say what there is that is none of ours, oldest first."""
        self._learn(sighting)
        found = [*self._models(sighting), *self._processes(sighting), *self._rest(sighting)]
        self._suspects = {key_of(drift): self._suspect(drift, sighting.at_s) for drift in found}
        reported = [suspect.drift for suspect in self._suspects.values() if suspect.reported]
        return tuple(sorted(reported, key=lambda drift: drift.since_unix_s))

    def _learn(self, sighting: Sighting) -> None:
        if sighting.used_mb is None:
            return
        now_mb = {process.pid: process.vram_mb or 0 for process in sighting.strangers}
        if self._desktop_mb is None:
            self._desktop_mb = {pid: min(mb, DESKTOP_MB) for pid, mb in now_mb.items()}
        # A pid that is free may soon be another program's.
        self._desktop_mb = {pid: mb for pid, mb in self._desktop_mb.items() if pid in now_mb}
        if sighting.share is not None:
            rest_mb = max(0, sighting.used_mb - sighting.share.least_mb - sum(now_mb.values()))
            self._baseline_mb = rest_mb if self._baseline_mb is None else min(self._baseline_mb, rest_mb)

    def _models(self, sighting: Sighting) -> Iterator[Drift]:
        if sighting.models is None:
            yield from (it.drift for it in self._suspects.values() if it.drift.what == "foreign_model")
            return
        for model in sighting.models:
            yield Drift(what="foreign_model", name=model.name, vram_mb=model.vram_mb, since_unix_s=sighting.at_unix_s)

    def _processes(self, sighting: Sighting) -> Iterator[Drift]:
        desktop_mb = self._desktop_mb or {}
        for process in sighting.strangers:
            drift = Drift(
                what="foreign_vram",
                name=process.name,
                vram_mb=process.vram_mb,
                pid=process.pid,
                since_unix_s=sighting.at_unix_s,
            )
            more_mb = (process.vram_mb or 0) - desktop_mb.get(process.pid, 0)
            if more_mb >= (OVER_MB if self._is_reported(drift) else THRESHOLD_MB):
                yield drift

    def _rest(self, sighting: Sighting) -> Iterator[Drift]:
        """What nobody known explains: of the two bounds, the careful one to report it and the likely one to keep it."""
        share, baseline_mb = sighting.share, self._baseline_mb
        if sighting.used_mb is None:
            return
        if share is None or baseline_mb is None:
            reported = self._suspects.get(_REST)
            if reported is not None and reported.reported:
                yield reported.drift
            return
        rest_mb = sighting.used_mb - baseline_mb - sum(process.vram_mb or 0 for process in sighting.strangers)
        about_mb = rest_mb - share.about_mb
        drift = Drift(what="foreign_vram", name=UNKNOWN, vram_mb=max(0, about_mb), since_unix_s=sighting.at_unix_s)
        if about_mb >= OVER_MB if self._is_reported(drift) else rest_mb - share.most_mb >= THRESHOLD_MB:
            yield drift

    def _is_reported(self, drift: Drift) -> bool:
        suspect = self._suspects.get(key_of(drift))
        return suspect is not None and suspect.reported

    def _suspect(self, drift: Drift, at_s: float) -> _Suspect:
        before = self._suspects.get(key_of(drift))
        if before is None:
            return _Suspect(drift, since_s=at_s, reported=drift.what == "foreign_model")
        now = drift.model_copy(update={"since_unix_s": before.drift.since_unix_s})
        return replace(before, drift=now, reported=before.reported or at_s - before.since_s >= self._confirm_s)


def key_of(drift: Drift) -> Key:
    """What makes it the same thing at the next look."""
    return drift.what, drift.name, drift.pid
