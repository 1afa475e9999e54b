"""How results are shown: for people with rich, for programs as JSON."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from singletrack_tasks.status import Degradation, OperationResult, StepReceipt


def console() -> Console:
    """Return a console on the stdout of now."""
    return Console(soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON value in one line."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def clock_time(unix_s: float) -> str:
    """Show a moment in this machine's time zone."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def megabytes(value: int | None) -> str:
    """Show a size."""
    return "unknown" if value is None else f"{value:,} MB"


def print_receipts(result: OperationResult) -> None:
    """Show what an operation moved, and what is less than configured."""
    if result.receipts:
        console().print(receipt_table(result.receipts))
    print_reasons(result.reasons)


def receipt_table(receipts: Iterable[StepReceipt]) -> Table:
    """Show steps with VRAM before and after."""
    table = Table("step", "ok", "VRAM before", "VRAM after", "took")
    for receipt in receipts:
        before, after = megabytes(receipt.vram_before_mb), megabytes(receipt.vram_after_mb)
        done = "yes" if receipt.ok else f"no: {receipt.detail}"
        table.add_row(receipt.step, done, before, after, f"{receipt.duration_s:.2f} s")
    return table


def print_reasons(reasons: Iterable[Degradation]) -> None:
    """Show why the system is degraded."""
    for reason in reasons:
        console().print(f"degraded ({reason.code}): {reason.message}", style="yellow", markup=False)
