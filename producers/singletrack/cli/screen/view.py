"""The full screen of `singletrack status --watch`: a pure function of a `View` and the size."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from rich.text import Text

from singletrack.cli.output import duration, one_line
from singletrack.cli.screen import facts
from singletrack.cli.screen.event_line import event_details
from singletrack.cli.screen.frame import pair, row, rule, spread
from singletrack.cli.screen.vram import bar, legend
from singletrack.cli.screen.vram_chart import columns, draw, mode_style, work_lane
from singletrack.pictures.vram_timeline import ModeMark, Timeline, TimelinePoint, point_of
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.status import GPUResourceStatus

_WIDE_COLUMNS = 120
_TALL_ROWS = 32
_CHART_ROWS_MAX = 18
_CHART_ROWS_MIN = 2
_DETAIL_ROWS = 3
_PROBLEM_ROWS = 3
# Below the rows: two lines of time, and the mode.
_AXIS_ROWS = 3
_RECENT_S = 600
# A worker publishes its status every second.
_OLD_S = 3.0
_KIND_STYLES = {
    "mode_changed": "bold",
    "degraded": "yellow",
    "recovered": "green",
    "drift": "yellow",
    "task_dead": "red",
    "task_put_back": "yellow",
    "worker_started": "green",
    "worker_stopped": "red",
}


@dataclass(frozen=True)
class View:
    """What is known of a track: its last status and the history; `problem` says why there is no status now.

    `now_unix_s` is by the clock of the Redis server, like all other times.
    """

    track: str
    now_unix_s: float
    status: GPUResourceStatus | None = None
    problem: str = ""
    points: tuple[TimelinePoint, ...] = ()
    marks: tuple[ModeMark, ...] = ()
    total_mb: int = 0
    events: tuple[AnyEvent, ...] = ()


def screen(view: View, width: int, height: int, *, colour: bool) -> list[Text]:
    """Draw it: at most `height` lines, each `width` cells wide."""
    tall = height >= _TALL_ROWS
    head = [*_head(view, width), *_vram(view, width, colour=colour)]
    details = _details(view, width, tall=tall)
    notes = _notes(view, width, 2 if not tall else 8)
    # The chart's and the events' own borders, and the last one.
    room = height - len(head) - len(details) - len(notes) - 3
    chart_rows = _chart_rows(view, room, tall=tall)
    chart = _chart(view, width, chart_rows, tall=tall, colour=colour) if chart_rows is not None else []
    above = [*head, *chart, *details, *notes]
    events = _events(view, width, height - len(above) - 2, splits_above=bool(details) and not notes)
    return [*[*above, *events][: height - 1], rule(width, "q quits", ends="╰╯")][:height]


def _head(view: View, width: int) -> Iterator[Text]:
    now = view.status
    yield rule(width, f"singletrack {view.track}", facts.time_of_day(view.now_unix_s), ends="╭╮")
    if now is None:
        style = "bold red" if view.problem else ""
        words = textwrap.wrap(one_line(view.problem) or "looking for the worker", max(1, width - 4))
        yield from (row(Text(line, style=style), width) for line in words[:_PROBLEM_ROWS])
        return
    mode = Text(f" {now.mode} ", style=f"bold reverse {mode_style(now.mode)}")
    up = duration(max(0.0, view.now_unix_s - now.worker.started_unix_s))
    facts_line = Text.assemble(mode, f" {facts.gpu_name(now)} ", (f" {facts.worker_name(now)}, up {up}", "dim"))
    age_s = max(0.0, view.now_unix_s - now.taken_unix_s)
    age = Text(f"{age_s:.1f} s old", style="dim" if age_s < _OLD_S else "bold red")
    yield row(spread(facts_line, age, width - 4), width)


def _vram(view: View, width: int, *, colour: bool) -> Iterator[Text]:
    now = view.status
    if now is None or now.vram is None:
        return
    # The newest point is this status, with what is known of a load that goes on.
    point = view.points[-1] if view.points else point_of(now)
    total_mb = now.vram.total_mb
    share = f"{now.vram.used_mb:,} of {total_mb:,} MB, {now.vram.used_mb / max(total_mb, 1):.0%}"
    yield rule(width, "VRAM", share)
    yield row(bar(point, total_mb, width - 4, colour=colour), width)
    yield row(legend(point, total_mb, colour=colour), width)


def _chart_rows(view: View, room: int, *, tall: bool) -> int | None:
    """How many rows the chart gets of the room for it and the events; None where there is no room for it at all."""
    lanes = _AXIS_ROWS + tall
    rows = min(_CHART_ROWS_MAX, room - lanes - max(3, room // 4))
    if rows < _CHART_ROWS_MIN:
        return None
    return rows if view.total_mb else 0


def _chart(view: View, width: int, rows: int, *, tall: bool, colour: bool) -> Iterator[Text]:
    minutes = 10 if width >= _WIDE_COLUMNS else 5
    # The drawing leaves a column free at its right end.
    room = width - 3
    timeline = _timeline(view, minutes * 60, columns(room))
    yield rule(width, f"last {minutes} minutes")
    drawn = draw(timeline, width=room, height=rows, colour=colour, clock=True)
    for line in [*drawn, work_lane(timeline, room)] if tall else drawn:
        yield row(line, width)


def _timeline(view: View, seconds: float, steps: int) -> Timeline:
    # Whole steps of a column: what was drawn once moves on and keeps its shape.
    step_s = seconds / steps
    end_s = ceil(view.now_unix_s / step_s) * step_s
    return Timeline(view.points, view.marks, end_s, view.total_mb, since_unix_s=end_s - seconds)


def _details(view: View, width: int, *, tall: bool) -> list[Text]:
    now = view.status
    if now is None:
        return []
    operation, queue = facts.operation_lines(now, view.now_unix_s), facts.queue_lines(now)
    clip, vlm = facts.clip_lines(now), facts.vlm_lines(now, view.now_unix_s)
    if tall:
        first = [rule(width, "operation", second="queue"), *_pairs(operation, queue, width)]
        return [*first, rule(width, "VLM", second="CLIP", splits_above=True), *_pairs(vlm, clip, width)]
    vlm_state = ", ".join((f"VLM {now.vlm.state}", *facts.vlm_rest(now, view.now_unix_s)[-1:]))
    left = [*operation, *[""] * (2 - len(operation)), vlm_state]
    right = [queue[0], queue[-1] if len(queue) > 1 else "", f"CLIP {clip[0]}"]
    return [rule(width, "operation, VLM", second="queue, CLIP"), *_pairs(left, right, width)]


def _pairs(left: list[str], right: list[str], width: int) -> Iterator[Text]:
    for number in range(_DETAIL_ROWS):
        yield pair(Text("".join(left[number : number + 1])), Text("".join(right[number : number + 1])), width)


def _notes(view: View, width: int, most: int) -> list[Text]:
    notes = list(_troubles(view.status, view.now_unix_s)) if view.status is not None else []
    if not notes:
        return []
    more = f"{len(notes) - most} more" if len(notes) > most else ""
    lines = [rule(width, "attention", more, splits_above=True)]
    return [*lines, *(row(note, width) for note in notes[:most])]


def _troubles(now: GPUResourceStatus, at_unix_s: float) -> Iterator[Text]:
    for reason in now.reasons:
        yield Text.assemble(("! degraded ", "bold yellow"), f"{reason.code}: {one_line(reason.message)}")
    for drift in now.drift:
        yield Text.assemble(("! drift ", "bold yellow"), facts.drift_line(drift, at_unix_s))
    if now.dead_letters:
        yield Text.assemble(("! dead letters ", "bold red"), f"{now.dead_letters:,}: see `singletrack dead list`")
    if (error := now.last_error) is not None:
        ago_s = max(0.0, at_unix_s - error.at_unix_s)
        style = "bold red" if ago_s < _RECENT_S else "dim"
        yield Text.assemble(("x last error ", style), f"{duration(ago_s)} ago, {facts.error_line(error)}")


def _events(view: View, width: int, room: int, *, splits_above: bool) -> Iterator[Text]:
    yield rule(width, "events", splits_above=splits_above)
    shown = view.events[-max(room, 0) :] if room > 0 else ()
    for event in reversed(shown):
        words = ((event.kind, _KIND_STYLES.get(event.kind, "cyan")), f" {event_details(event)}")
        yield row(Text.assemble((f"{facts.time_of_day(event.at_unix_s)}  ", "dim"), *words), width)
    for _ in range(room - len(shown)):
        yield row(Text(), width)
