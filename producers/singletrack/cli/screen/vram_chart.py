"""VRAM over time, drawn in the terminal: who had it, and in which mode."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise
from math import ceil
from operator import itemgetter

from rich.text import Text

from singletrack.cli.screen.vram import CLIP, OTHER, VLM, Tenant, parts, tenant_at
from singletrack.pictures.vram_timeline import Timeline, TimelinePoint

_MIB_PER_GIB = 1024
_AXIS_WIDTH = 9
_TICKS_S = (5, 10, 20, 30, 60, 120, 300, 600)
_LEAST_TICK_COLUMNS = 8
_PARTS = " ▁▂▃▄▅▆▇█"
_NOTHING = TimelinePoint(0.0, 0)

# A mode has the colour of the tenant that it puts on the GPU.
_MODE_COLOURS = {"AUTOPILOT": CLIP.colour, "RECORDING": VLM.colour, "IDLE": "default"}


def mode_style(mode: str) -> str:
    """The colour of a mode; red for anything else."""
    return _MODE_COLOURS.get(mode, "red")


def draw(
    timeline: Timeline, *, width: int = 96, height: int = 14, colour: bool = False, clock: bool = False
) -> list[Text]:
    """Draw a timeline: `height` rows of blocks, and below them time and modes, at most `width` columns wide.

    With `colour` the tenants differ in colour and are drawn to an eighth of a row, without it they differ in shade.
    The ticks are seconds since the start, with `clock` times of the day.
    """
    count = columns(width)
    seen = [max(points, key=_height) for points in _buckets(timeline, count)]
    changes = {_column(timeline, mark.at_unix_s, count): mark.mode for mark in timeline.marks[1:]}
    rows = [_row(timeline.total_mb, seen, changes, row, height, colour=colour) for row in reversed(range(height))]
    return [*rows, *_time_axis(timeline, count, clock=clock), _mode_lane(timeline, count)]


def work_lane(timeline: Timeline, width: int) -> Text:
    """Draw how much of the time an operation had the GPU."""
    shares = (sum(point.busy for point in points) / len(points) for points in _buckets(timeline, columns(width)))
    # A little work shows as well.
    lane = "".join(_PARTS[ceil(share * 8)] for share in shares)
    return Text.assemble((f"{'work ':>{_AXIS_WIDTH}}", "dim"), (lane, "green"))


def columns(width: int) -> int:
    """How many columns of a drawing this wide show memory."""
    return max(1, width - _AXIS_WIDTH - 1)


def shades() -> Text:
    """A legend of the shades, for a drawing without one of its own."""
    line = Text(" " * _AXIS_WIDTH)
    for tenant in (VLM, CLIP, OTHER):
        line.append(tenant.shade * 2, style=tenant.colour)
        line.append(f" {tenant.name}   ", style="dim")
    line.rstrip()
    return line


def _column(timeline: Timeline, at_unix_s: float, count: int) -> int:
    return int((at_unix_s - timeline.start_unix_s) / timeline.seconds * count)


def _height(point: TimelinePoint) -> int:
    return point.used_mb


def _buckets(timeline: Timeline, count: int) -> list[Sequence[TimelinePoint]]:
    """What there was during each column's time: the point that held at its beginning, and those that came."""
    times = [point.at_unix_s for point in timeline.points]
    step_s = timeline.seconds / count
    found: list[Sequence[TimelinePoint]] = []
    for column in range(count):
        begin_s = timeline.start_unix_s + column * step_s
        first, last = bisect_right(times, begin_s) - 1, bisect_left(times, begin_s + step_s)
        found.append(timeline.points[max(0, first) : last] or (_NOTHING,))
    return found


def _row(
    total_mb: int, seen: Sequence[TimelinePoint], changes: dict[int, str], row: int, height: int, *, colour: bool
) -> Text:
    step_mb = total_mb / height
    labelled = row == height - 1 or row == height // 2
    top = f"{(row + 1) * step_mb / _MIB_PER_GIB:.1f} GiB ┤" if labelled else "│"
    line = Text(f"{top:>{_AXIS_WIDTH}}", style="dim")
    draw_cell = _smooth_cell if colour else _shaded_cell
    cells = []
    for column, point in enumerate(seen):
        glyph, style = draw_cell(point, row * step_mb, step_mb)
        free = glyph == " " and column in changes
        cells.append(("┊", mode_style(changes[column])) if free else (glyph, style))
    # One piece for a run of one style: every piece sends its style to the terminal.
    for style, run in groupby(cells, key=itemgetter(1)):
        line.append("".join(glyph for glyph, _ in run), style=f"not dim {style}")
    return line


def _shaded_cell(point: TimelinePoint, low_mb: float, step_mb: float) -> tuple[str, str]:
    tenant = tenant_at(point, low_mb + step_mb / 2)
    return (tenant.shade, tenant.colour) if tenant else (" ", "default")


def _smooth_cell(point: TimelinePoint, low_mb: float, step_mb: float) -> tuple[str, str]:
    """Draw the two that have most of a cell, the one below as a part of a block, the one above as its background."""
    lower, upper = _two_largest(point, low_mb, step_mb)
    eighths = round(8 * lower[1] / max(lower[1] + upper[1], 1e-9))
    if eighths == 0:
        lower, eighths = upper, 8
    glyph = _PARTS[eighths] if lower[0] else " "
    above = f" on {upper[0].colour}" if upper[0] and eighths < 8 else ""
    return glyph, f"{lower[0].colour if lower[0] else 'default'}{above}"


def _two_largest(point: TimelinePoint, low_mb: float, step_mb: float) -> list[tuple[Tenant | None, float]]:
    """Who has most of a part of the stack, and how much, the lower one first; None for what is free."""
    found: list[tuple[Tenant | None, float]] = []
    bottom_mb = 0.0
    for tenant, part_mb in (*parts(point), (None, float("inf"))):
        top_mb = bottom_mb + part_mb
        found.append((tenant, max(0.0, min(top_mb, low_mb + step_mb) - max(bottom_mb, low_mb))))
        bottom_mb = top_mb
    largest = sorted(range(len(found)), key=lambda place: -found[place][1])[:2]
    return [found[place] for place in sorted(largest)]


def _time_axis(timeline: Timeline, count: int, *, clock: bool) -> tuple[Text, Text]:
    per_s = count / timeline.seconds
    ticks_s = [tick for tick in _TICKS_S if not clock or tick % 60 == 0]
    tick_s = next((tick for tick in ticks_s if tick * per_s >= _LEAST_TICK_COLUMNS), ticks_s[-1])
    line, labels = ["─"] * count, [" "] * (count + _LEAST_TICK_COLUMNS)
    first_s = -timeline.start_unix_s % tick_s if clock else 0.0
    for number in range(int(timeline.seconds / tick_s) + 1):
        at_s = first_s + number * tick_s
        column = int(at_s * per_s)
        if column >= count:
            break
        line[column] = "┴"
        text = _time_of_day(timeline.start_unix_s + at_s) if clock else f"{number * tick_s} s"
        if not clock or column + len(text) <= count:
            labels[column : column + len(text)] = text
    margin = " " * _AXIS_WIDTH
    return (
        Text(f"{'0 ┼':>{_AXIS_WIDTH}}{''.join(line)}", style="dim"),
        Text(f"{margin}{''.join(labels)[:count].rstrip()}", style="dim"),
    )


def _time_of_day(unix_s: float) -> str:
    return datetime.fromtimestamp(round(unix_s)).astimezone().strftime("%H:%M")


def _mode_lane(timeline: Timeline, count: int) -> Text:
    starts = [min(count, max(0, _column(timeline, mark.at_unix_s, count))) for mark in timeline.marks]
    edges = [*starts, count]
    line = Text(f"{'mode ':>{_AXIS_WIDTH}}{' ' * edges[0]}" if starts else "", style="dim")
    for mark, (start, end) in zip(timeline.marks, pairwise(edges), strict=True):
        room = max(0, end - start)
        line.append(f"│{mark.mode}"[:room].ljust(room), style=f"not dim bold {mode_style(mark.mode)}")
    return line
