"""`singletrack mode`."""

from typing import Annotated

import typer

from singletrack.cli.context import JsonOption, TimeoutOption, client_of
from singletrack.cli.failure import EXIT_TRANSIENT
from singletrack.cli.output import console, print_json, print_receipts
from singletrack.cli.waiting import watched


def mode(
    context: typer.Context,
    to: Annotated[str, typer.Argument(metavar="MODE", help="AUTOPILOT, RECORDING or IDLE.")],
    as_json: JsonOption = False,
    timeout_s: TimeoutOption = 120.0,
) -> None:
    """Change the execution mode, and show what was moved; exit status 75 if a step failed."""
    with client_of(context) as client:
        result = watched(lambda: client.set_mode(to.upper(), timeout_s=timeout_s))
    if as_json:
        print_json(result.dump())
    else:
        console().print(f"{result.before} -> {result.after} in {result.duration_s:.2f} s")
        print_receipts(result)
    if not all(receipt.ok for receipt in result.receipts):
        raise typer.Exit(EXIT_TRANSIENT)
