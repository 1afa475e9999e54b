"""`singletrack events`."""

from typing import Annotated

import typer

from singletrack.cli.context import JsonOption, client_of
from singletrack.cli.failure import end_interrupted_line
from singletrack.cli.output import clock_time, console, print_json
from singletrack.cli.screen.event_line import event_line
from singletrack_tasks.errors import InvalidRequest


def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new events, until Ctrl-C.")] = False,
    since: Annotated[str | None, typer.Option(help="Begin after the event with this id; '$' means now.")] = None,
    as_json: JsonOption = False,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout-s", help="With --follow: stop after this many seconds.")
    ] = None,
) -> None:
    """List the track's events, oldest first, one per line."""
    if timeout_s is not None and not follow:
        raise InvalidRequest("--timeout-s says how long to follow: give --follow as well")
    with client_of(context) as client:
        try:
            for entry_id, event in client.events(since, follow, timeout_s):
                if as_json:
                    print_json({"id": entry_id, **event.dump()})
                else:
                    console().print(f"{entry_id}  {clock_time(event.at_unix_s)}  {event_line(event)}", markup=False)
        except KeyboardInterrupt:
            # Ctrl-C is how following ends.
            end_interrupted_line()
