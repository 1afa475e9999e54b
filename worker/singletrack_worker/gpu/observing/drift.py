"""Judges from successive looks what is on the GPU that is not ours; does no I/O and reads no clock.

A model that another client loaded is certain at once. VRAM is reported once looks `confirm_s` apart have found it:
anything transient (a tenant's late release, a program that starts) does not count. VRAM in use at the worker's first
look counts as the desktop's, and is reported once it has grown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.status import Drift
from singletrack_worker.gpu.known.changes import ChangeDetector
from singletrack_worker.gpu.observing.shares import Share
from singletrack_worker.gpu.tenants import OtherModel

THRESHOLD_MB = ChangeDetector.THRESHOLD_MB
# Reported VRAM stays reported until it has shrunk below this: fluctuating figures are not news.
OVER_MB = THRESHOLD_MB // 2
# The most that one process may hold at the first look and still count as part of the desktop (MiB).
DESKTOP_MB = 1024
UNKNOWN = "unknown"

Key = tuple[str, str, int | None]
_REST: Key = ("foreign_vram", UNKNOWN, None)


@dataclass(frozen=True)
class Sighting:
    """The findings of one look, at `at_s` of the monotonic clock: `used_mb` is VRAM in use, None without a GPU.

    `models` are other clients' models on the server, None if it did not answer. `share` is the part that our tenants
    and those models hold, None if it is unknown or not settled. `strangers` are all other processes with memory.
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
    """Remembers the suspects, and the VRAM that was in use from the beginning."""

    def __init__(self, confirm_s: float) -> None:
        self._confirm_s = confirm_s
        self._suspects: dict[Key, _Suspect] = {}
        self._desktop_mb: Mapping[int, int] | None = None
        self._baseline_mb: int | None = None

    @property
    def baseline_mb(self) -> int | None:
        """The VRAM in use without a known owner, at its lowest so far (MiB)."""
        return self._baseline_mb

    def forget_processes(self) -> None:
        """Note that processes can no longer be identified: the desktop's processes become part of the baseline."""
        if self._baseline_mb is not None and self._desktop_mb:
            self._baseline_mb += sum(self._desktop_mb.values())
            self._desktop_mb = {}

    def judge(self, sighting: Sighting) -> tuple[Drift, ...]:
        """Take in a look, and return what is not ours, oldest first."""
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
        # A free pid may soon belong to another program.
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
        """Yield VRAM without a known owner: reported by the cautious estimate, kept by the likely one."""
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
    """Return the identity of a drift from one look to the next."""
    return drift.what, drift.name, drift.pid
