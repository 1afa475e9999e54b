"""`singletrack status`."""

import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from singletrack.cli.context import JsonOption, client_of
from singletrack.cli.failure import end_interrupted_line
from singletrack.cli.output import clock_time, console, megabytes, print_json
from singletrack_tasks.errors import NoWorker, RedisUnavailable
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
            end_interrupted_line()


def _watch(read: Callable[[], GPUResourceStatus], as_json: bool) -> None:
    screen = console()
    if not as_json and screen.is_terminal:
        with Live(console=screen, auto_refresh=False) as live:
            while True:
                live.update(_look(read), refresh=True)
                time.sleep(_EVERY_S)
    while True:
        print_json(read().dump()) if as_json else screen.print(_look(read))
        time.sleep(_EVERY_S)


def _look(read: Callable[[], GPUResourceStatus]) -> Table | Text:
    try:
        return status_table(read())
    except (NoWorker, RedisUnavailable) as error:
        # It may come back: that is what somebody who watches wants to see.
        return Text(error.message)


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
        "VLM": _vlm(now),
        "CLIP": f"{now.clip.model.name} on {now.clip.device}" if now.clip.model else "not loaded",
        "operation": _operation(now),
        "queue": "unknown" if now.queue is None else f"{now.queue.length} waiting",
        "worker": f"{now.worker.host}, pid {now.worker.pid}, since {clock_time(now.worker.started_unix_s)}",
    }


def _gpu(now: GPUResourceStatus) -> str:
    if now.gpu is None:
        return "none: everything runs on the CPU"
    told = not now.gpu.simulated or "simulated" in now.gpu.name.lower()
    return now.gpu.name if told else f"{now.gpu.name} (simulated)"


def _vlm(now: GPUResourceStatus) -> str:
    size = "" if now.vlm.vram_mb is None else f", {megabytes(now.vlm.vram_mb)} of VRAM"
    return f"{now.vlm.model}: {now.vlm.state}{size}"


def _vram(now: GPUResourceStatus) -> str:
    if now.vram is None:
        return "none"
    return f"{megabytes(now.vram.used_mb)} of {megabytes(now.vram.total_mb)} used, {megabytes(now.vram.free_mb)} free"


def _operation(now: GPUResourceStatus) -> str:
    if now.operation is None:
        return "none"
    since_s = max(0.0, now.taken_unix_s - now.operation.since_unix_s)
    return f"{now.operation.kind} for {since_s:.1f} s (job {now.operation.job_id})"
