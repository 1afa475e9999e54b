"""Typed errors become one red line on stderr and an exit status that scripts can act on."""

from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from singletrack.agent.errors import InvalidDesktop, InvalidWorkflow, MissingExtra, ReportNotWritten
from singletrack.cli.output import one_line
from singletrack_tasks.errors import InvalidConfiguration, InvalidRequest, SingletrackError

# As in BSD's sysexits: 75 try again, 69 unavailable.
EXIT_TRANSIENT = 75
EXIT_CAPACITY = 69
EXIT_BAD_INPUT = 2
EXIT_PERMANENT = 1
_BAD_INPUT = (InvalidRequest, InvalidConfiguration, InvalidWorkflow, InvalidDesktop, MissingExtra, ReportNotWritten)


class Commands(TyperGroup):
    """The commands, whose typed errors end the program without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was given."""
        try:
            return super().invoke(ctx)
        except SingletrackError as error:
            show_error(f"{type(error).__name__}: {error.message}")
            raise typer.Exit(exit_status(error)) from error
        except KeyboardInterrupt:
            end_interrupted_line()
            raise


def exit_status(error: SingletrackError) -> int:
    """Choose the exit status: 75 transient, 69 capacity, 2 bad input, 1 anything else."""
    if error.kind == "transient":
        return EXIT_TRANSIENT
    if error.kind == "capacity":
        return EXIT_CAPACITY
    return EXIT_BAD_INPUT if isinstance(error, _BAD_INPUT) else EXIT_PERMANENT


def end_interrupted_line() -> None:
    """Begin a new line after the ^C that the terminal shows."""
    typer.echo(err=True)


def show_error(message: str) -> None:
    """Print one red line on stderr."""
    line = Text(one_line(message), style="bold red")
    Console(stderr=True, soft_wrap=True).print(line)
