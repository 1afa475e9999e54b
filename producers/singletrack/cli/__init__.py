"""The command line `singletrack`."""

import io
import sys


def main() -> None:
    """Run the command line."""
    from singletrack.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows, or an old locale, cannot encode every character that is printed.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
