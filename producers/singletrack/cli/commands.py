"""All commands, put together."""

from typing import Annotated

import typer

import singletrack
from singletrack.cli.ask import ask
from singletrack.cli.context import Target
from singletrack.cli.dead import dead
from singletrack.cli.doctor import doctor
from singletrack.cli.embed import embed
from singletrack.cli.events import events
from singletrack.cli.failure import Commands
from singletrack.cli.mode import mode
from singletrack.cli.ping import ping
from singletrack.cli.record import record
from singletrack.cli.stack import demo, up
from singletrack.cli.status import status

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"singletrack {singletrack.__version__}")
        raise typer.Exit


@app.callback()
def target(
    context: typer.Context,
    redis_url: Annotated[
        str | None,
        typer.Option(
            help="The Redis server (before the command): redis://:PASSWORD@HOST:6379/0. [SINGLETRACK_REDIS_URL]"
        ),
    ] = None,
    track: Annotated[
        str | None, typer.Option(help="The track (before the command): one GPU, one queue. [SINGLETRACK_TRACK]")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """One GPU, two tenants: ask the VLM, embed with CLIP, change the mode, see what is where."""
    context.obj = Target(redis_url, track)


for command in (status, mode, ask, embed, events, record, ping, doctor, up, demo):
    app.command()(command)
app.add_typer(dead, name="dead")
