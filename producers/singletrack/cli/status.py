"""`singletrack status`."""

import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from singletrack.cli.context import JsonOption, client_of
from singletrack.cli.output import clock_time, console, megabytes, print_json
from singletrack_tasks.errors import NoWorker
from singletrack_tasks.status import GPUResourceStatus

_EVERY_S = 1.0


def status(
    context: typer.Context,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")] = False,
) -> None:
    """Show the GPU, its tenants, the mode and the queue; never waits for the GPU."""
    with client_of(context) as client:
        if not watch:
            now = client.status()
            print_json(now.dump()) if as_json else console().print(status_table(now))
            return
        try:
            _watch(client.status, as_json)
        except KeyboardInterrupt:
            # Ctrl-C is how watching ends.
            return


def _watch(read: Callable[[], GPUResourceStatus], as_json: bool) -> None:
    if as_json:
        while True:
            print_json(read().dump())
            time.sleep(_EVERY_S)
    with Live(console=console(), auto_refresh=False) as live:
        while True:
            try:
                live.update(status_table(read()), refresh=True)
            except NoWorker as error:
                # It may come back: that is what somebody who watches wants to see.
                live.update(str(error), refresh=True)
            time.sleep(_EVERY_S)


def status_table(now: GPUResourceStatus) -> Table:
    """Show a status as a table."""
    table = Table(title=f"track {now.track}", show_header=False, title_justify="left")
    for name, value in _rows(now).items():
        table.add_row(name, Text(value))
    for reason in now.reasons:
        table.add_row(Text("degraded", style="yellow"), Text(f"{reason.code}: {reason.message}"))
    return table


def _rows(now: GPUResourceStatus) -> dict[str, str]:
    return {
        "mode": str(now.mode),
        "GPU": _gpu(now),
        "VRAM": _vram(now),
        "VLM": f"{now.vlm.model}: {now.vlm.state}, {megabytes(now.vlm.vram_mb)} of VRAM",
        "CLIP": f"{now.clip.model.name if now.clip.model else 'not loaded'} on {now.clip.device}",
        "operation": _operation(now),
        "queue": "unknown" if now.queue_length is None else f"{now.queue_length} waiting",
        "worker": f"{now.worker.host}, pid {now.worker.pid}, since {clock_time(now.worker.started_unix_s)}",
    }


def _gpu(now: GPUResourceStatus) -> str:
    if now.gpu is None:
        return "none: everything runs on the CPU"
    return f"{now.gpu.name}{' (simulated)' if now.gpu.simulated else ''}"


def _vram(now: GPUResourceStatus) -> str:
    if now.vram is None:
        return "none"
    return f"{megabytes(now.vram.used_mb)} of {megabytes(now.vram.total_mb)} used, {megabytes(now.vram.free_mb)} free"


def _operation(now: GPUResourceStatus) -> str:
    if now.operation is None:
        return "none"
    since_s = max(0.0, now.taken_unix_s - now.operation.since_unix_s)
    return f"{now.operation.kind} for {since_s:.1f} s (job {now.operation.job_id})"
