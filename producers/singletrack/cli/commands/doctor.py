"""`singletrack doctor`."""

from dataclasses import asdict

import typer
from rich.text import Text

from singletrack.cli.context import JsonOption, TrackTarget
from singletrack.cli.output import console, one_line, print_json

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check everything that is needed here and say what to do; exit status 1 if something is missing."""
    from singletrack.cli.checks import run_checks

    target: TrackTarget = context.obj
    findings = run_checks(target)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            verdict = (f"{finding.verdict:8}", _STYLES[finding.verdict])
            console().print(Text.assemble(verdict, f"{finding.what}: {one_line(finding.text)}"))
            if finding.advice:
                console().print(Text(f"        {finding.advice}"))
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(1)
