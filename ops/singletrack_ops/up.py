"""`singletrack up`: the whole stack in one terminal, until Ctrl-C."""

import shlex
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from singletrack.cli.failure import EXIT_BAD_INPUT, EXIT_PERMANENT, end_interrupted_line
from singletrack.cli.interrupts import ended_by_signals
from singletrack.wire.settings import address
from singletrack_ops.errors import AlreadyServed, PartEnded
from singletrack_ops.local.data_folder import default_folder
from singletrack_ops.stack import WORKER_GRACE_S, GpuChoice, Stack
from singletrack_tasks.errors import InvalidConfiguration, SingletrackError

PIPED_WIDTH = 100
_THERE_BEFORE = "was running already, keeps running"


def run_up(
    *,
    folder: Path | None = None,
    flower: bool = True,
    flower_port: int | None = None,
    sandbox: bool = False,
    simulated_gpu: bool = False,
) -> int:
    """Start what is missing and keep it running until Ctrl-C or SIGTERM; returns the exit status.

    It is 0 after Ctrl-C, or if a worker serves the track already; 2 for unusable settings; 1 if a part cannot be
    started or ends by itself, and then its name, exit status and the end of its log are printed. Nothing is restarted:
    that is for systemd or Compose. `sandbox` allows a tiny untrained VLM and CLIP.
    """
    console = make_console()
    gpu: GpuChoice = "simulated" if simulated_gpu else "auto"
    with ended_by_signals():
        try:
            stack = Stack.start(
                folder or default_folder(),
                with_flower=flower,
                flower_port=flower_port,
                allow_sandbox=sandbox,
                tiny_clip=sandbox,
                gpu=gpu,
                clip_wait_s=0,
                say=say_on(console),
            )
        except AlreadyServed as error:
            console.print(Text(error.message))
            return 0
        except SingletrackError as error:
            console.print(Text(error.message, style="red"))
            return failed_status(error)
        except KeyboardInterrupt:
            end_interrupted_line()
            return 0
        try:
            return _hold(stack, console)
        finally:
            _end(stack)


def failed_status(error: SingletrackError) -> int:
    """The exit status for a stack that did not come up: 2 for unusable settings, else 1."""
    return EXIT_BAD_INPUT if isinstance(error, InvalidConfiguration) else EXIT_PERMANENT


def make_console() -> Console:
    """Make a console as wide as the terminal, or 100 columns if the output is piped."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPED_WIDTH)
    return console


def say_on(console: Console) -> Callable[[str], None]:
    """Make a function that prints what is being started."""
    return lambda text: console.print(Text(f"· {text}", style="dim"))


def stack_table(stack: Stack) -> Table:
    """List the parts: where each one is, and its log."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    table.add_row("Redis", address(stack.redis_url), "redis.log" if stack.redis else _THERE_BEFORE)
    table.add_row("Ollama", *_ollama_cells(stack))
    table.add_row("Worker", f"process {stack.worker.pid}", stack.worker.log_path.name)
    if stack.beat is not None:
        table.add_row("Beat", f"process {stack.beat.pid}", stack.beat.log_path.name)
    if stack.metrics_url is not None:
        table.add_row("Metrics", stack.metrics_url, "")
    if stack.flower is not None:
        table.add_row("Flower", f"{stack.flower_url}", stack.flower.log_path.name)
    table.add_row("Folder", str(stack.folder), "data and logs")
    return table


def _ollama_cells(stack: Stack) -> tuple[str, str]:
    ollama = stack.ollama
    if ollama is None:
        return "none: there is no VLM, everything else works", ""
    model = f", {ollama.model} (untrained)" if ollama.model else ""
    return f"{ollama.url}{model}", "ollama/ollama.log" if ollama.child else _THERE_BEFORE


def _hold(stack: Stack, console: Console) -> int:
    try:
        _greet(stack, console)
        stack.watch()
    except KeyboardInterrupt:
        end_interrupted_line()
        text = f"Stopping. An operation in flight has {WORKER_GRACE_S:.0f} s to finish; Ctrl-C again stops it now."
        console.print(Text(text))
        return 0
    except PartEnded as error:
        # It quotes a log, whose lines must not be wrapped.
        console.print(Text(error.message, style="red"), soft_wrap=True)
        console.print(Text("Stopping the rest. To have parts restarted, run them under systemd or Compose."))
        return 1


def _end(stack: Stack) -> None:
    try:
        stack.stop()
    except KeyboardInterrupt:
        stack.stop()  # the interrupt cut the operation short; this ends what it left


def _greet(stack: Stack, console: Console) -> None:
    console.print()
    console.print(stack_table(stack))
    console.print()
    if stack.client_file.exists():
        console.print(Text("In another shell:", style="bold"), soft_wrap=True)
        console.print(Text(f"  . {shlex.quote(str(stack.client_file))} && singletrack status"), soft_wrap=True)
    else:
        console.print(Text("In another shell, with the same SINGLETRACK_REDIS_URL: singletrack status"))
    console.print(Text("Ctrl-C ends everything that was started here."))
