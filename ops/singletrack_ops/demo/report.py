"""The demo's report: operations, mode changes with their receipts, VRAM over time, and events."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from singletrack.cli.screen.vram_chart import draw, shades
from singletrack.pictures.vram_timeline import Timeline
from singletrack_ops.demo.diary import Diary, DiaryEntry, receipt_line
from singletrack_tasks.events import AnyEvent, ModeChanged

_CHART_WIDTH = 96


def print_report(console: Console, diary: Diary, events: Sequence[AnyEvent], timeline: Timeline | None) -> None:
    """Print the report, and check that the events show every mode change."""
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
    diary.expect(told == asked, f"the events show {told} mode changes; {asked} were requested")


def operations_table(operations: Iterable[DiaryEntry]) -> Table:
    """Tabulate operations with mode, place, waiting time and duration; only their names are ever cut."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    table.add_column("mode", no_wrap=True, min_width=9)
    table.add_column("operation", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("where", no_wrap=True)
    for name in ("queued", "GPU turn", "total"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6)
    table.add_column("outcome", no_wrap=True, min_width=14)
    for operation in operations:
        seconds = (_seconds(value) for value in (operation.waited_s, operation.turn_s, operation.total_s))
        outcome = Text(operation.outcome, style="green" if operation.outcome == "done" else "yellow")
        table.add_row(operation.mode, operation.kind, operation.device, *seconds, outcome)
    return table


def count_events(events: Iterable[AnyEvent]) -> str:
    """Count events by kind, in the order in which each kind first occurred."""
    counts = Counter(event.kind for event in events)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


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
