"""VRAM over time, from statuses, events and the flight recorder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from singletrack_tasks.events import AnyEvent, ClipMigrated, ModeChanged, ResourceChanged, VlmLoaded, VlmUnloaded
from singletrack_tasks.recording import Sample
from singletrack_tasks.result import StepReceipt
from singletrack_tasks.status import Drift, GPUResourceStatus, ModelState

_Move = VlmLoaded | VlmUnloaded | ClipMigrated


@dataclass(frozen=True)
class TimelinePoint:
    """VRAM in use from `at_unix_s` on, the tenants' part of it (MiB), and whether an operation had the GPU."""

    at_unix_s: float
    used_mb: int
    clip_mb: int = 0
    vlm_mb: int = 0
    foreign_mb: int = 0
    busy: bool = False


@dataclass(frozen=True)
class ModeMark:
    """The mode that holds from `at_unix_s` on, or why it is not known."""

    at_unix_s: float
    mode: str


@dataclass(frozen=True)
class Timeline:
    """Points and marks in order of time, until `end_unix_s`; nothing is known before the first point.

    It begins at `since_unix_s`, or with the first point.
    """

    points: tuple[TimelinePoint, ...]
    marks: tuple[ModeMark, ...]
    end_unix_s: float
    total_mb: int
    since_unix_s: float | None = None

    @property
    def start_unix_s(self) -> float:
        """When it begins (Unix time, seconds)."""
        return self.points[0].at_unix_s if self.since_unix_s is None else self.since_unix_s

    @property
    def seconds(self) -> float:
        """How much time it shows; more than 0."""
        return max(self.end_unix_s - self.start_unix_s, 1e-9)


def point_of(now: GPUResourceStatus, last: TimelinePoint | None = None) -> TimelinePoint:
    """Read the memory in use from a status; nothing is in use without a GPU.

    While the VLM is loading, growth since the `last` point is counted as the VLM's.
    """
    busy = now.operation is not None
    if now.vram is None:
        return TimelinePoint(now.taken_unix_s, 0, busy=busy)
    clip_mb = now.clip_on_gpu_mb
    vlm_mb = now.vlm.vram_mb or 0
    if now.vlm.state is ModelState.LOADING and last is not None:
        others_mb = last.used_mb - last.vlm_mb - last.clip_mb
        vlm_mb = max(vlm_mb, now.vram.used_mb - others_mb - clip_mb)
    return TimelinePoint(now.taken_unix_s, now.vram.used_mb, clip_mb, vlm_mb, _foreign_mb(now.drift), busy)


def _foreign_mb(drift: tuple[Drift, ...]) -> int:
    """Foreign memory; a model's memory is also its server's process's, and counts once."""
    models_mb, processes_mb = (
        sum(one.vram_mb or 0 for one in drift if one.what == what) for what in ("foreign_model", "foreign_vram")
    )
    return max(models_mb, processes_mb)


def build_timeline(first: GPUResourceStatus, events: Iterable[AnyEvent], end_unix_s: float) -> Timeline | None:
    """Follow the memory from a status through the events after it; None where there is no GPU."""
    if first.vram is None:
        return None
    happened = list(events)
    point = replace(point_of(first), busy=False)
    marks = follow_mode(ModeMark(first.taken_unix_s, first.mode), happened)
    return Timeline((point, *follow(point, happened)), tuple(marks), end_unix_s, first.vram.total_mb)


def follow(first: TimelinePoint, events: Sequence[AnyEvent]) -> list[TimelinePoint]:
    """Compute the points that events add after a first one."""
    points = [first]
    for event in events:
        points.extend(_points_after(points[-1], event, events))
    return points[1:]


def follow_mode(first: ModeMark, events: Iterable[AnyEvent]) -> list[ModeMark]:
    """Follow the mode from a mark through the events after it."""
    return [first, *(ModeMark(event.at_unix_s, event.after) for event in events if isinstance(event, ModeChanged))]


def before(events: Sequence[AnyEvent], now: GPUResourceStatus, at_unix_s: float) -> TimelinePoint:
    """Compute the memory in use before these events, which led to the status of now."""
    point = point_of(now)
    vlm = next((event for event in events if isinstance(event, VlmLoaded | VlmUnloaded)), None)
    clip = next((event for event in events if isinstance(event, ClipMigrated)), None)
    return TimelinePoint(
        at_unix_s,
        next(_figures_before(events), point.used_mb),
        clip_mb=point.clip_mb if clip is None else _given_back_mb(clip),
        vlm_mb=point.vlm_mb if vlm is None else _given_back_mb(vlm),
    )


def mode_before(events: Iterable[AnyEvent], now: GPUResourceStatus, at_unix_s: float) -> ModeMark:
    """Find the mode that held before these events."""
    mode = next((event.before for event in events if isinstance(event, ModeChanged)), now.mode)
    return ModeMark(at_unix_s, mode)


def recorded(samples: Iterable[Sample]) -> tuple[list[TimelinePoint], list[ModeMark]]:
    """Convert samples of the flight recorder."""
    points, marks = [], []
    for sample in samples:
        marks.append(ModeMark(sample.at_unix_s, sample.mode))
        busy = sample.operation is not None
        points.append(
            TimelinePoint(sample.at_unix_s, sample.used_mb or 0, sample.clip_mb or 0, sample.vlm_mb or 0, busy=busy)
        )
    return points, in_order(marks)


def in_order(marks: Iterable[ModeMark]) -> list[ModeMark]:
    """Put marks in order of time, and leave out those that change nothing."""
    kept: list[ModeMark] = []
    for mark in sorted(marks, key=lambda mark: mark.at_unix_s):
        if not kept or kept[-1].mode != mark.mode:
            kept.append(mark)
    return kept


def _figures_before(events: Iterable[AnyEvent]) -> Iterator[int]:
    for event in events:
        if isinstance(event, ResourceChanged):
            yield event.before_mb
        elif isinstance(event, _Move) and event.receipt.vram_before_mb is not None:
            yield event.receipt.vram_before_mb


def _given_back_mb(event: _Move) -> int:
    """The tenant's memory before it was moved: what it gave back, 0 if it came."""
    before_mb, after_mb = event.receipt.vram_before_mb, event.receipt.vram_after_mb
    return 0 if before_mb is None or after_mb is None else max(0, before_mb - after_mb)


def _points_after(last: TimelinePoint, event: AnyEvent, events: Sequence[AnyEvent]) -> tuple[TimelinePoint, ...]:
    if isinstance(event, ResourceChanged):
        return () if _belongs_to_a_move(event, events) else (_at(last, event.at_unix_s, event.after_mb),)
    if not isinstance(event, _Move):
        return ()
    receipt = event.receipt
    if receipt.vram_before_mb is None or receipt.vram_after_mb is None:
        return ()
    after = _at(last, event.at_unix_s, receipt.vram_after_mb)
    moved_mb = max(0, receipt.vram_after_mb - receipt.vram_before_mb)
    match event:
        case VlmLoaded():
            after = replace(after, vlm_mb=moved_mb)
        case VlmUnloaded():
            after = replace(after, vlm_mb=0)
        case ClipMigrated():
            after = replace(after, clip_mb=0 if event.after == "cpu" else moved_mb)
    return (_at(last, _begin(event.at_unix_s, receipt), receipt.vram_before_mb), after)


def _at(point: TimelinePoint, at_unix_s: float, used_mb: int) -> TimelinePoint:
    return replace(point, at_unix_s=max(point.at_unix_s, at_unix_s), used_mb=used_mb)


def _begin(at_unix_s: float, receipt: StepReceipt) -> float:
    return at_unix_s - receipt.duration_s


def _belongs_to_a_move(change: ResourceChanged, events: Sequence[AnyEvent]) -> bool:
    """Whether a tenant was moving just then: its receipt says the same, and whose memory it is."""
    return any(
        _begin(event.at_unix_s, event.receipt) <= change.at_unix_s <= event.at_unix_s
        for event in events
        if isinstance(event, _Move)
    )
