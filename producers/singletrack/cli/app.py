"""The command line: all commands, and the options before them."""

from typing import Annotated

import typer

import singletrack
from singletrack.cli.commands.ask import ask
from singletrack.cli.commands.dead import dead
from singletrack.cli.commands.doctor import doctor
from singletrack.cli.commands.embed import embed
from singletrack.cli.commands.events import events
from singletrack.cli.commands.mode import mode
from singletrack.cli.commands.ping import ping
from singletrack.cli.commands.record import record
from singletrack.cli.commands.status import status
from singletrack.cli.commands.up_demo import demo, up
from singletrack.cli.commands.workflow import workflow
from singletrack.cli.context import TrackTarget
from singletrack.cli.failure import Commands

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
            help="The Redis server, like redis://:PASSWORD@HOST:6379/0 (before the command). [SINGLETRACK_REDIS_URL]"
        ),
    ] = None,
    track: Annotated[
        str | None, typer.Option(help="The track: one GPU with its queue (before the command). [SINGLETRACK_TRACK]")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """One GPU, two tenants: ask the VLM, embed with CLIP, change the mode, see what is on the GPU."""
    context.obj = TrackTarget(redis_url, track)


for command in (status, mode, ask, embed, events, record, ping, doctor, up, demo):
    app.command()(command)
app.add_typer(dead, name="dead")
app.add_typer(workflow, name="workflow")
