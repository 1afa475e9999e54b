"""What the demo shows at its end: the operations, the memory over time, the events, and what others saw of it."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from singletrack.cli.screen.vram_chart import draw, shades
from singletrack.pictures.vram_timeline import Timeline
from singletrack_ops.demo.diary import Diary, DiaryEntry, receipt_line
from singletrack_tasks.events import AnyEvent, ModeChanged
from singletrack_tasks.upkeep import Tick

# What a worker does unasked, and whenever beat says so.
_UNASKED = ("tick", "settle", "resume")
_CHART_WIDTH = 96


def print_report(console: Console, diary: Diary, events: Sequence[AnyEvent], timeline: Timeline | None) -> None:
    """Print it, all but the last line."""
    _heading(console, "OPERATIONS")
    table = Padding(operations_table(diary.operations), (0, 0, 0, 2))
    console.print(table, width=min(_CHART_WIDTH, console.width))
    _heading(console, "MODE CHANGES")
    for event in events:
        if isinstance(event, ModeChanged):
            _print_mode_change(console, event)
    if timeline is not None:
        _heading(console, "VRAM")
        for line in (*draw(timeline, width=min(_CHART_WIDTH, console.width)), shades()):
            console.print(line, no_wrap=True, overflow="crop")
    _heading(console, "EVENTS")
    console.print(Text(f"  {count_events(events)}"))
    asked, told = diary.mode_changes, sum(isinstance(event, ModeChanged) for event in events)
    diary.expect(told == asked, f"{asked} mode changes were asked for, and {told} were told of")


def operations_table(operations: Iterable[DiaryEntry]) -> Table:
    """Tabulate operations: the mode, where they ran, how long they waited and took; only operations are cut short."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    table.add_column("mode", no_wrap=True, min_width=9)
    table.add_column("operation", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("where", no_wrap=True)
    for name in ("queued", "GPU turn", "in all"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6)
    table.add_column("outcome", no_wrap=True, min_width=14)
    for operation in operations:
        seconds = (_seconds(value) for value in (operation.waited_s, operation.turn_s, operation.total_s))
        outcome = Text(operation.outcome, style="green" if operation.outcome == "done" else "yellow")
        table.add_row(operation.mode, operation.kind, operation.device, *seconds, outcome)
    return table


def count_events(events: Iterable[AnyEvent]) -> str:
    """Count events by their kind, in the order in which each kind came first."""
    counts = Counter(event.kind for event in events)
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())


def count_successes(metrics: str) -> int:
    """How many tasks Flower saw succeed, the regular checks left out; `metrics` is what it shows at `/metrics`."""
    return _count(
        metrics,
        "flower_events_total",
        lambda labels: labels.get("type") == "task-succeeded" and labels.get("task") != Tick.TASK,
    )


def count_operations(metrics: str) -> int:
    """How many operations that somebody asked for ended well; `metrics` is what the worker serves."""
    return _count(
        metrics,
        "singletrack_operations_total",
        lambda labels: labels.get("outcome") == "ok" and labels.get("kind") not in _UNASKED,
    )


def count_mode_changes(told: str) -> int:
    """How many changes of mode the GPU page tells of; `told` is the text of its `/gpu/api`, '' if there is none."""
    return sum(event["kind"] == "mode_changed" for event in json.loads(told or "{}").get("events", ()))


def _print_mode_change(console: Console, event: ModeChanged) -> None:
    console.print(Text(f"  {event.before} -> {event.after}"))
    for receipt in event.receipts:
        line = Text(receipt_line(receipt), style="cyan" if receipt.ok else "red")
        console.print(Padding(line, (0, 0, 0, 4), expand=False))
    if not event.receipts:
        console.print(Text("    nothing was moved", style="dim"))


def _heading(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _count(metrics: str, name: str, counts: Callable[[Mapping[str, str]], bool]) -> int:
    """Add up the samples of a counter whose labels count."""
    # A part of the worker's packages, which are looked for only when a stack is started.
    from prometheus_client.parser import text_string_to_metric_families

    samples = (sample for family in text_string_to_metric_families(metrics) for sample in family.samples)
    return sum(int(sample.value) for sample in samples if sample.name == name and counts(sample.labels))
