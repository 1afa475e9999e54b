"""VRAM over time, drawn in the terminal: who had it, and in which mode."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from singletrack_tasks.events import AnyEvent, ClipMigrated, ModeChanged, ResourceChanged, VlmLoaded, VlmUnloaded
from singletrack_tasks.status import GPUResourceStatus, StepReceipt

_MIB_PER_GIB = 1024
_AXIS_WIDTH = 9
_TICKS_S = (5, 10, 20, 30, 60, 120, 300, 600)
_LEAST_TICK_COLUMNS = 8


@dataclass(frozen=True)
class Tenant:
    """How a part of the memory is drawn."""

    name: str
    block: str
    style: str


OTHER = Tenant("other", "░", "dim")
CLIP = Tenant("CLIP", "▒", "cyan")
VLM = Tenant("VLM", "█", "magenta")


@dataclass(frozen=True)
class Point:
    """VRAM in use from `at_unix_s` on, and the tenants' part of it (MiB)."""

    at_unix_s: float
    used_mb: int
    clip_mb: int = 0
    vlm_mb: int = 0

    def tenant_at(self, level_mb: float) -> Tenant | None:
        """Who has the memory at this height of the stack, others below CLIP below the VLM; None where it is free."""
        if level_mb >= self.used_mb:
            return None
        if level_mb >= self.used_mb - self.vlm_mb:
            return VLM
        return CLIP if level_mb >= self.used_mb - self.vlm_mb - self.clip_mb else OTHER


@dataclass(frozen=True)
class Mark:
    """The mode that holds from `at_unix_s` on."""

    at_unix_s: float
    mode: str


@dataclass(frozen=True)
class Timeline:
    """Points and marks in order of time, each with the first at the beginning."""

    points: tuple[Point, ...]
    marks: tuple[Mark, ...]
    end_unix_s: float
    total_mb: int

    @property
    def start_unix_s(self) -> float:
        """When it begins (Unix time, seconds)."""
        return self.points[0].at_unix_s


def build_timeline(first: GPUResourceStatus, events: Iterable[AnyEvent], end_unix_s: float) -> Timeline | None:
    """Follow the memory from a status through the events after it; None where there is no GPU."""
    if first.vram is None:
        return None
    happened = list(events)
    point = Point(
        first.taken_unix_s,
        first.vram.used_mb,
        clip_mb=(first.clip.footprint_mb or 0) if first.clip.device != "cpu" else 0,
        vlm_mb=first.vlm.vram_mb or 0,
    )
    points = [point]
    for event in happened:
        points.extend(_points_after(points[-1], event, happened))
    marks = [Mark(first.taken_unix_s, first.mode)]
    marks += [Mark(event.at_unix_s, event.after) for event in happened if isinstance(event, ModeChanged)]
    return Timeline(tuple(points), tuple(marks), end_unix_s, first.vram.total_mb)


def _points_after(last: Point, event: AnyEvent, events: Sequence[AnyEvent]) -> tuple[Point, ...]:
    if isinstance(event, ResourceChanged):
        return () if _belongs_to_a_move(event, events) else (_at(last, event.at_unix_s, event.after_mb),)
    if not isinstance(event, VlmLoaded | VlmUnloaded | ClipMigrated):
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


def _at(point: Point, at_unix_s: float, used_mb: int) -> Point:
    return replace(point, at_unix_s=max(point.at_unix_s, at_unix_s), used_mb=used_mb)


def _begin(at_unix_s: float, receipt: StepReceipt) -> float:
    return at_unix_s - receipt.duration_s


def _belongs_to_a_move(change: ResourceChanged, events: Sequence[AnyEvent]) -> bool:
    """Whether a tenant was on the move just then: its receipt tells the same, and whose memory it is."""
    return any(
        _begin(event.at_unix_s, event.receipt) <= change.at_unix_s <= event.at_unix_s
        for event in events
        if isinstance(event, VlmLoaded | VlmUnloaded | ClipMigrated)
    )


def draw(timeline: Timeline, *, width: int = 96, height: int = 14) -> list[Text]:
    """Draw it, `height` rows of blocks and below them time and modes, at most `width` columns wide."""
    columns = max(1, width - _AXIS_WIDTH - 1)
    seen = _sample(timeline, columns)
    rows = [_row(timeline.total_mb, seen, row, height) for row in reversed(range(height))]
    seconds = max(timeline.end_unix_s - timeline.start_unix_s, 1e-9)
    return [*rows, *_time_axis(seconds, columns), _mode_lane(timeline, seconds, columns), _legend()]


def _sample(timeline: Timeline, columns: int) -> list[Point]:
    """What held in the middle of each column's time."""
    times = [point.at_unix_s for point in timeline.points]
    step_s = (timeline.end_unix_s - timeline.start_unix_s) / columns
    middles = (timeline.start_unix_s + (column + 0.5) * step_s for column in range(columns))
    return [timeline.points[max(0, bisect_right(times, middle) - 1)] for middle in middles]


def _row(total_mb: int, seen: Sequence[Point], row: int, height: int) -> Text:
    step_mb = total_mb / height
    labelled = row == height - 1 or row == height // 2
    top = f"{(row + 1) * step_mb / _MIB_PER_GIB:.1f} GiB ┤" if labelled else "│"
    line = Text(f"{top:>{_AXIS_WIDTH}}", style="dim")
    for point in seen:
        tenant = point.tenant_at((row + 0.5) * step_mb)
        line.append(tenant.block if tenant else " ", style=f"not dim {tenant.style}" if tenant else "")
    return line


def _time_axis(seconds: float, columns: int) -> tuple[Text, Text]:
    tick_s = next((tick for tick in _TICKS_S if columns * tick / seconds >= _LEAST_TICK_COLUMNS), _TICKS_S[-1])
    line, labels = ["─"] * columns, [" "] * (columns + _LEAST_TICK_COLUMNS)
    for number in range(int(seconds / tick_s) + 1):
        column = int(number * tick_s / seconds * columns)
        if column >= columns:
            break
        line[column] = "┴"
        text = f"{number * tick_s} s"
        labels[column : column + len(text)] = text
    margin = " " * _AXIS_WIDTH
    return (
        Text(f"{'0 ┼':>{_AXIS_WIDTH}}{''.join(line)}", style="dim"),
        Text(f"{margin}{''.join(labels)[:columns].rstrip()}", style="dim"),
    )


def _mode_lane(timeline: Timeline, seconds: float, columns: int) -> Text:
    starts = [int((mark.at_unix_s - timeline.start_unix_s) / seconds * columns) for mark in timeline.marks]
    line = Text(f"{'mode ':>{_AXIS_WIDTH}}", style="dim")
    for mark, start, end in zip(timeline.marks, starts, [*starts[1:], columns], strict=True):
        room = max(0, end - start)
        line.append(f"│{mark.mode}"[:room].ljust(room), style="not dim bold")
    return line


def _legend() -> Text:
    line = Text(" " * _AXIS_WIDTH)
    for tenant in (VLM, CLIP, OTHER):
        line.append(tenant.block * 2, style=tenant.style)
        line.append(f" {tenant.name}   ", style="dim")
    line.rstrip()
    return line
