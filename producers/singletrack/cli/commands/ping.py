"""`singletrack ping`."""

import time

import typer

from singletrack.cli.context import JsonOption, TimeoutOption, client_of
from singletrack.cli.output import console, print_json


def ping(context: typer.Context, as_json: JsonOption = False, timeout_s: TimeoutOption = 30.0) -> None:
    """Take a turn on the GPU, do nothing with it, and show the time there and back, queue included."""
    with client_of(context) as client:
        began_s = time.perf_counter()
        result = client.ping(timeout_s=timeout_s)
        took_ms = (time.perf_counter() - began_s) * 1000
    if as_json:
        print_json({**result.dump(), "round_trip_ms": round(took_ms, 2)})
        return
    console().print(f"{result.track} answered in {took_ms:.1f} ms")
