"""A status as a table."""

from collections.abc import Iterator

from rich.box import ROUNDED
from rich.table import Table
from rich.text import Text

from singletrack.cli.output import clock_time, duration, one_line
from singletrack.cli.screen import facts
from singletrack.cli.screen.vram import bar, legend
from singletrack.cli.screen.vram_chart import mode_style
from singletrack.pictures.vram_timeline import point_of
from singletrack_tasks.status import GPUResourceStatus

_BAR_WIDTH = 50


def status_table(now: GPUResourceStatus, *, colour: bool = False) -> Table:
    """Show everything in a status as a table."""
    table = Table(title=f"track {now.track}", box=ROUNDED, show_header=False, title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(now, colour=colour):
        table.add_row(name, value)
    return table


def _rows(now: GPUResourceStatus, *, colour: bool) -> Iterator[tuple[str | Text, Text]]:
    at_unix_s = now.read_unix_s
    yield "mode", Text(now.mode, style=f"bold {mode_style(now.mode)}")
    yield "GPU", Text(facts.gpu_name(now))
    yield "VRAM", _vram(now, colour=colour)
    yield "VLM", _lines(facts.vlm_lines(now, at_unix_s))
    yield "CLIP", _lines(facts.clip_lines(now))
    yield "operation", _lines(facts.operation_lines(now, at_unix_s))
    yield "queue", _lines(facts.queue_lines(now))
    yield from _trouble(now, at_unix_s)
    yield "lease", Text(facts.lease_line(now))
    worker = now.worker
    since = clock_time(worker.started_unix_s)
    line = f"{one_line(worker.host)}, pid {worker.pid}, release {one_line(worker.release)}, since {since}"
    yield "worker", Text(line)
    if now.age_s is not None:
        yield "snapshot", Text(f"{duration(now.age_s)} old")


def _vram(now: GPUResourceStatus, *, colour: bool) -> Text:
    point = point_of(now)
    if now.vram is None:
        return Text(facts.vram_used(now))
    total_mb = now.vram.total_mb
    drawn = (bar(point, total_mb, _BAR_WIDTH, colour=colour), legend(point, total_mb, colour=colour))
    return Text("\n").join((Text(facts.vram_used(now)), *drawn))


def _trouble(now: GPUResourceStatus, at_unix_s: float) -> Iterator[tuple[Text, Text]]:
    for reason in now.reasons:
        since = f" (since {clock_time(reason.since_unix_s)})"
        yield Text("degraded", style="bold yellow"), Text(f"{reason.code}: {one_line(reason.message)}{since}")
    for drift in now.drift:
        yield Text("drift", style="bold yellow"), Text(facts.drift_line(drift, at_unix_s))
    if now.last_error is not None:
        line = f"{clock_time(now.last_error.at_unix_s)}  {facts.error_line(now.last_error)}"
        yield Text("last error", style="bold red"), Text(line)
    if now.dead_letters:
        yield Text("dead letters", style="bold red"), Text(f"{now.dead_letters:,}: see `singletrack dead list`")


def _lines(lines: list[str]) -> Text:
    return Text("\n".join(lines))
