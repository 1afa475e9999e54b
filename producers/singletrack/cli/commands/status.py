"""`singletrack status`."""

import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from singletrack.cli.context import JsonOption, client_of
from singletrack.cli.failure import end_interrupted_line
from singletrack.cli.output import has_colours, print_json
from singletrack.cli.screen.status_table import status_table
from singletrack.cli.screen.watch import fill_screen
from singletrack_tasks.errors import NoWorker, RedisUnavailable
from singletrack_tasks.status import GPUResourceStatus

_EVERY_S = 1.0


def status(
    context: typer.Context,
    as_json: JsonOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep showing it, full screen on a terminal, until q or Ctrl-C.")
    ] = False,
) -> None:
    """Show the GPU, its tenants, the mode and the queue; never waits for the GPU."""
    console = Console(highlight=False)
    with client_of(context) as client:
        if not watch:
            now = client.status()
            print_json(now.dump()) if as_json else console.print(_table(console, now))
            return
        try:
            if console.is_terminal and not console.is_dumb_terminal and not as_json:
                fill_screen(client, console)
            else:
                _print_again(client.status, console, as_json=as_json)
        except KeyboardInterrupt:
            # Ctrl-C is how watching ends.
            end_interrupted_line()


def _print_again(read: Callable[[], GPUResourceStatus], console: Console, *, as_json: bool) -> None:
    while True:
        print_json(read().dump()) if as_json else console.print(_look(read, console))
        time.sleep(_EVERY_S)


def _look(read: Callable[[], GPUResourceStatus], console: Console) -> Table | Text:
    try:
        return _table(console, read())
    except (NoWorker, RedisUnavailable) as error:
        # It may come back, which a watcher waits for.
        return Text(error.message)


def _table(console: Console, now: GPUResourceStatus) -> Table:
    return status_table(now, colour=has_colours(console))
