"""Who holds how much of the VRAM in use: measured where the driver lists processes, else estimated cautiously."""

from collections.abc import Sequence
from dataclasses import dataclass

from singletrack_tasks.recording import GpuProcess
from singletrack_worker.gpu.observing.observer import CONTEXT_MB
from singletrack_worker.gpu.tenants import OtherModel, VlmListing

# VRAM that a tenant at work may take beyond its footprint: growing pools and caches (MiB).
GROWTH_MB = 512
_NAMELESS = "unknown"


@dataclass(frozen=True)
class Share:
    """A part of the VRAM in use: about, at least and at most this much (MiB)."""

    about_mb: int = 0
    least_mb: int = 0
    most_mb: int = 0

    def __add__(self, other: "Share") -> "Share":
        """Add two shares."""
        return Share(self.about_mb + other.about_mb, self.least_mb + other.least_mb, self.most_mb + other.most_mb)


def measured(taken_mb: int) -> Share:
    """Return the share of processes that the driver lists."""
    return Share(taken_mb, taken_mb, taken_mb + GROWTH_MB)


def of_clip(footprint_mb: int | None, configured_mb: int) -> Share:
    """Estimate CLIP's share while it is on the GPU; its footprint may include other processes' changes."""
    about_mb = footprint_mb or configured_mb
    return Share(about_mb, min(about_mb, configured_mb) // 2, max(about_mb, configured_mb) + GROWTH_MB)


def of_vlm(listing: VlmListing, footprint_mb: int | None) -> Share:
    """Estimate the share of our model; the server's figure excludes CUDA's part, and more for some models."""
    if footprint_mb is None or listing.vram_mb < listing.size_mb:
        return _of_listed(listing.vram_mb)
    least_mb = min(footprint_mb, listing.vram_mb) // 2
    return Share(footprint_mb, least_mb, max(footprint_mb, listing.vram_mb) + GROWTH_MB)


def of_others(others: Sequence[OtherModel]) -> Share:
    """Estimate the share of other clients' models."""
    return sum((_of_listed(other.vram_mb) for other in others), Share())


def _of_listed(vram_mb: int) -> Share:
    return Share(vram_mb, vram_mb // 2, vram_mb + vram_mb // 4 + CONTEXT_MB)


@dataclass(frozen=True)
class Sorted:
    """Processes on the GPU by owner: the VRAM of CLIP's and Ollama's (MiB, None if unknown), and the strangers."""

    clip_mb: int | None = None
    ollama_mb: int | None = None
    strangers: tuple[GpuProcess, ...] = ()


class ProcessSorter:
    """Sorts processes by pid and name, as long as the driver's pids can be ours.

    In a container with its own pid namespace the driver lists the host's pids. This shows when CLIP is on the GPU
    and its process is not listed; from then on the list is ignored.
    """

    def __init__(self) -> None:
        self._reliable = True

    @property
    def reliable(self) -> bool:
        """Whether the list identifies our processes, as far as is known."""
        return self._reliable

    def sort(
        self, processes: Sequence[GpuProcess], clip_pids: tuple[int | None, int | None], *, ollama_is_idle: bool
    ) -> Sorted:
        """Sort processes; while our server has no model loaded (`ollama_is_idle`), an Ollama with memory is a stranger.

        Strangers without a name, or whose memory the driver does not report, are left out.
        """
        gpu_pid = clip_pids[1]
        if processes and gpu_pid is not None and all(process.pid != gpu_pid for process in processes):
            self._reliable = False
        if not self._reliable:
            return Sorted()
        clips = [process for process in processes if process.pid in clip_pids]
        ollamas = [] if ollama_is_idle else [it for it in processes if it not in clips and is_ollama(it.name)]
        return Sorted(
            clip_mb=_sum_mb(clips),
            ollama_mb=_sum_mb(ollamas),
            strangers=tuple(it for it in processes if it not in (*clips, *ollamas) and _is_identified(it)),
        )


def is_ollama(name: str) -> bool:
    """Recognize a process of an Ollama server by its name: the server itself or a runner of its models."""
    return name.casefold().startswith(("ollama", "llama-server"))


def _is_identified(process: GpuProcess) -> bool:
    return process.vram_mb is not None and process.name != _NAMELESS


def _sum_mb(processes: Sequence[GpuProcess]) -> int | None:
    """Add up their memory; None without processes, or if the memory of one is unknown."""
    taken_mb = [process.vram_mb for process in processes if process.vram_mb is not None]
    return sum(taken_mb) if taken_mb and len(taken_mb) == len(processes) else None
