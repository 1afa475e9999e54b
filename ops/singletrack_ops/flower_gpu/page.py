"""What the GPU page says, in words and figures; the templates lay it out and escape it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from singletrack.cli.output import duration, megabytes, one_line
from singletrack.cli.screen import facts
from singletrack.cli.screen.event_line import event_details
from singletrack.cli.screen.vram import FOREIGN, parts
from singletrack.pictures.vram_timeline import point_of
from singletrack_ops.flower_gpu.timeline_svg import css_class, draw_svg
from singletrack_ops.flower_gpu.track_watcher import GpuView
from singletrack_ops.flower_gpu.transition_table import TransitionRow, transition_rows
from singletrack_tasks.status import GPUResourceStatus

TRANSITIONS_SHOWN = 12
EVENTS_SHOWN = 14
_NOTHING = "none"


@dataclass(frozen=True)
class Card:
    """One of the figures at the top: its label, the figure, a line below it, and Flower's name for its colour."""

    label: str
    value: str
    rest: str
    kind: str = ""


@dataclass(frozen=True)
class Slice:
    """A tenant's part of the bar; `share` is the percentage of the whole memory."""

    name: str
    css: str
    figure: str
    share: float


@dataclass(frozen=True)
class Line:
    """An event in one line."""

    at: str
    kind: str
    text: str


@dataclass(frozen=True)
class Page:
    """Everything on the page; `live` says whether a worker is publishing its status."""

    live: bool
    age: str
    problem: str = ""
    title: str = ""
    warnings: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    vram: str = ""
    shares: tuple[Slice, ...] = ()
    timeline: str = ""
    work: tuple[tuple[str, tuple[str, ...]], ...] = ()
    details: tuple[tuple[str, tuple[str, ...]], ...] = ()
    transitions: tuple[TransitionRow, ...] = ()
    events: tuple[Line, ...] = ()

    @classmethod
    def of(cls, look: GpuView) -> "Page":
        """Put a view into words; what could not be read is left out."""
        now = look.status
        moved = tuple(islice(transition_rows(look.events), TRANSITIONS_SHOWN))
        events = tuple(islice(_lines(look), EVENTS_SHOWN))
        if now is None:
            return cls(live=False, age="no status", problem=look.problem or "", transitions=moved, events=events)
        return cls(
            live=look.problem is None,
            age=f"status {duration(now.age_s or 0.0)} old",
            problem=look.problem or "",
            title=f"{facts.gpu_name(now)} · track {now.track}",
            warnings=tuple(_warnings(now, look.now_unix_s)),
            cards=tuple(_cards(now, look.now_unix_s)),
            vram=facts.vram_used(now),
            shares=tuple(_shares(now)),
            timeline=draw_svg(look.timeline) if look.timeline else "",
            work=tuple(_work(now, look.now_unix_s)),
            details=tuple(_details(now, look.now_unix_s)),
            transitions=moved,
            events=events,
        )


def _warnings(now: GPUResourceStatus, at_unix_s: float) -> Iterator[str]:
    for reason in now.reasons:
        since = duration(max(0.0, at_unix_s - reason.since_unix_s))
        yield f"Degraded, {reason.code}, for {since}: {one_line(reason.message)}"
    for drift in now.drift:
        yield f"Drift, {facts.drift_line(drift, at_unix_s)}"


def _cards(now: GPUResourceStatus, at_unix_s: float) -> Iterator[Card]:
    degraded = ", ".join(reason.code for reason in now.reasons)
    yield Card("Mode", str(now.mode), f"degraded: {degraded}" if degraded else "not degraded", _colour(not degraded))
    vlm = now.vlm
    size = "" if vlm.vram_mb is None else f", {megabytes(vlm.vram_mb)}"
    yield Card("VLM", str(vlm.state), f"{one_line(vlm.model)}{size}", "active")
    clip = now.clip
    name = "not loaded" if clip.model is None else one_line(clip.model.name)
    yield Card("CLIP", one_line(clip.device), f"{name}, pids {_pids(now)}", "success")
    operation = now.operation
    at_work = "nothing in flight"
    if operation is not None:
        at_work = f"{operation.kind} for {duration(operation.age_s(at_unix_s))}, {operation.stage}"
    waiting = "unknown" if now.queue is None else f"{now.queue.length:,} waiting"
    yield Card("Queue", waiting, at_work)


def _colour(good: bool) -> str:
    return "success" if good else "danger"


def _pids(now: GPUResourceStatus) -> str:
    pids = (("cpu", now.clip.cpu_pid), ("gpu", now.clip.gpu_pid))
    return ", ".join(f"{pid} ({where})" for where, pid in pids if pid is not None) or _NOTHING


def _shares(now: GPUResourceStatus) -> Iterator[Slice]:
    point = point_of(now)
    if point is None or now.vram is None:
        return
    total_mb = max(1, now.vram.total_mb)
    for tenant, part_mb in reversed(parts(point)):
        if part_mb or tenant is not FOREIGN:
            yield Slice(tenant.name, css_class(tenant), megabytes(part_mb), round(100 * part_mb / total_mb, 2))
    yield Slice("free", "gpu-free", megabytes(now.vram.free_mb), 0.0)


def _work(now: GPUResourceStatus, at_unix_s: float) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "Operation", tuple(facts.operation_lines(now, at_unix_s))
    yield "Queue", tuple(facts.queue_lines(now))
    yield "VLM", tuple(facts.vlm_lines(now, at_unix_s))
    yield "CLIP", tuple(facts.clip_lines(now))


def _details(now: GPUResourceStatus, at_unix_s: float) -> Iterator[tuple[str, tuple[str, ...]]]:
    dead, failed = now.dead_letters, now.last_error
    yield "Process", (facts.worker_name(now), f"up {duration(max(0.0, at_unix_s - now.worker.started_unix_s))}")
    yield "Lease", (facts.lease_line(now),)
    yield "Dead letters", (_NOTHING if not dead else f"{dead:,}: see `singletrack dead list`",)
    ago = "" if failed is None else f"{duration(max(0.0, at_unix_s - failed.at_unix_s))} ago, "
    yield "Last error", (_NOTHING if failed is None else f"{ago}{facts.error_line(failed)}",)
    took = (f"{one_line(name)} {duration(took_s)}" for name, took_s in sorted(now.durations_s.items()))
    yield "Durations", (", ".join(took) or "not measured yet",)


def _lines(look: GpuView) -> Iterator[Line]:
    for event in reversed(look.events):
        yield Line(facts.time_of_day(event.at_unix_s), event.kind, event_details(event))
