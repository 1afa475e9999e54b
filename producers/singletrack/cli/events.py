"""`singletrack events`."""

from typing import Annotated

import typer

from singletrack.cli.context import JsonOption, client_of
from singletrack.cli.failure import end_interrupted_line
from singletrack.cli.output import clock_time, console, print_json
from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.events import AnyEvent

# Enough to find a job again; JSON has all of it.
_ID_CHARS = 8


def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    since: Annotated[str | None, typer.Option(help="Begin after this event's id; '$' means now.")] = None,
    as_json: JsonOption = False,
    timeout_s: Annotated[float | None, typer.Option("--timeout-s", help="With --follow: for so many seconds.")] = None,
) -> None:
    """List what happened on the track, oldest first, one event a line."""
    if timeout_s is not None and not follow:
        raise InvalidRequest("--timeout-s says how long to follow: give --follow as well")
    with client_of(context) as client:
        try:
            for entry_id, event in client.events(since, follow, timeout_s):
                if as_json:
                    print_json({"id": entry_id, **event.dump()})
                else:
                    console().print(f"{entry_id}  {clock_time(event.at_unix_s)}  {_line(event)}", markup=False)
        except KeyboardInterrupt:
            # Ctrl-C is how following ends.
            end_interrupted_line()


def _line(event: AnyEvent) -> str:
    shown = event.model_dump(mode="json", exclude={"version", "at_unix_s", "kind", "receipts", "receipt"})
    if (reason := shown.pop("reason", None)) is not None:
        shown |= {"code": reason["code"], "message": reason["message"]}
    return " ".join(
        [event.kind, *(f"{name}={_short(name, value)}" for name, value in shown.items() if value is not None)]
    )


def _short(name: str, value: object) -> str:
    """Show a value in one line."""
    if isinstance(value, float):
        return f"{value:.1f}"
    text = " ".join(str(value).split())
    return text[:_ID_CHARS] if name == "job_id" else text
