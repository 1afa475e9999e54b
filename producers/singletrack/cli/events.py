"""`singletrack events`."""

from typing import Annotated

import typer

from singletrack.cli.context import JsonOption, client_of
from singletrack.cli.output import clock_time, console, print_json
from singletrack_tasks.events import AnyEvent


def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    since: Annotated[str | None, typer.Option(help="Begin after this event's id; '$' means now.")] = None,
    as_json: JsonOption = False,
    timeout_s: Annotated[float | None, typer.Option("--timeout-s", help="Follow for so many seconds.")] = None,
) -> None:
    """List what happened on the track, oldest first; as JSON one event a line."""
    with client_of(context) as client:
        try:
            for entry_id, event in client.events(since, follow, timeout_s):
                if as_json:
                    print_json({"id": entry_id, **event.dump()})
                else:
                    console().print(f"{entry_id}  {clock_time(event.at_unix_s)}  {_line(event)}", markup=False)
        except KeyboardInterrupt:
            # Ctrl-C is how following ends.
            return


def _line(event: AnyEvent) -> str:
    shown = event.model_dump(mode="json", exclude={"version", "at_unix_s", "kind", "receipts", "receipt"})
    if (reason := shown.pop("reason", None)) is not None:
        shown |= {"code": reason["code"], "message": reason["message"]}
    return " ".join([event.kind, *(f"{name}={value}" for name, value in shown.items() if value is not None)])
