"""How results are shown: for people with rich, for programs as JSON."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from singletrack_tasks.result import Degradation, OperationResult, StepReceipt

_ID_CHARS = 8
# Control characters that a terminal obeys, except tabs and line ends.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def console() -> Console:
    """Return a console on the stdout of now."""
    return Console(soft_wrap=True, highlight=False, emoji=False)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; a program may be started without one."""
    return stream is not None and stream.isatty()


def has_colours(console: Console) -> bool:
    """Whether colours show on a console."""
    return console.color_system is not None and not console.no_color


def print_json(value: Any) -> None:
    """Print one JSON value in one line."""
    every_letter = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    typer.echo(json.dumps(value, ensure_ascii=not every_letter))


def clock_time(unix_s: float) -> str:
    """Format a Unix time as date and time, in this machine's time zone."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Format a duration."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, left_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left_s:02} s"


def one_line(text: str) -> str:
    """Put a text from outside on one line, without characters that a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))


def short_id(job_id: str) -> str:
    """Shorten a job's id for people; JSON has all of it."""
    return one_line(job_id)[:_ID_CHARS]


def answer_text(text: str) -> str:
    """Clean a model's text for a terminal, which would obey control characters that a picture may have asked for."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) if is_terminal(sys.stdout) else text


def megabytes(value: int | None) -> str:
    """Format a size."""
    return "unknown" if value is None else f"{value:,} MB"


def show_warning(message: str) -> None:
    """Print one yellow line on stderr."""
    Console(stderr=True, soft_wrap=True).print(Text(one_line(message), style="yellow"))


def print_receipts(result: OperationResult) -> None:
    """Print what an operation moved, and why the system is degraded."""
    if result.receipts:
        console().print(_receipt_table(result.receipts))
    print_reasons(result.reasons)


def _receipt_table(receipts: Iterable[StepReceipt]) -> Table:
    """Show steps with VRAM before and after."""
    table = Table("step", "ok", "VRAM before", "VRAM after", "took")
    for receipt in receipts:
        before, after = megabytes(receipt.vram_before_mb), megabytes(receipt.vram_after_mb)
        done = ("yes" if receipt.verified else "yes, unverified") if receipt.ok else f"no: {one_line(receipt.detail)}"
        table.add_row(receipt.step, Text(done), before, after, f"{receipt.duration_s:.2f} s")
    return table


def print_reasons(reasons: Iterable[Degradation]) -> None:
    """Print why the system is degraded."""
    for reason in reasons:
        console().print(f"degraded ({reason.code}): {one_line(reason.message)}", style="yellow", markup=False)
