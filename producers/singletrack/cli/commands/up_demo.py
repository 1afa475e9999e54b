"""`singletrack up` and `singletrack demo`: the whole stack on this machine."""

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from singletrack.cli.context import TrackTarget
from singletrack_tasks.errors import InvalidConfiguration

# By name: they need the worker's packages, which an agent's installation lacks.
HOMES = {"up": "singletrack_ops.up", "demo": "singletrack_ops.demo.session"}

FolderOption = Annotated[Path | None, typer.Option(help="Keep data and logs in this folder.")]
FlowerPortOption = Annotated[int | None, typer.Option(min=1, max=65535, help="Serve Flower on this port.")]


def up(
    context: typer.Context,
    folder: FolderOption = None,
    flower: Annotated[bool, typer.Option(help="Start Flower as well.")] = True,
    flower_port: FlowerPortOption = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Without an Ollama, start one with a tiny untrained VLM.")
    ] = False,
    simulated_gpu: Annotated[bool, typer.Option("--simulated-gpu", help="Simulate the GPU.")] = False,
) -> None:
    """Start what this machine lacks of Redis, Ollama, worker, beat and Flower; Ctrl-C ends it."""
    target: TrackTarget = context.obj
    # Everything that is started reads the environment, and so do this program's own clients.
    given = {"SINGLETRACK_REDIS_URL": target.redis_url, "SINGLETRACK_TRACK": target.track}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    _run(
        "up",
        folder=folder,
        flower=flower,
        flower_port=flower_port,
        sandbox=sandbox,
        simulated_gpu=simulated_gpu,
    )


def demo(
    folder: FolderOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep running after the report, until Ctrl-C.")] = False,
    flower_port: FlowerPortOption = None,
) -> None:
    """Play an agent's short day on a stack of its own, and show how the modes move memory."""
    _run("demo", folder=folder, keep=keep, flower_port=flower_port)


def _run(name: str, **options: Any) -> None:
    try:
        run = getattr(import_module(HOMES[name]), f"run_{name}")
    except (ImportError, AttributeError) as error:
        raise InvalidConfiguration(
            f"`singletrack {name}` cannot run here ({error}). It needs the worker's packages: "
            "`pip install 'singletrack[worker,embedded]'`."
        ) from error
    raise typer.Exit(run(**options))
