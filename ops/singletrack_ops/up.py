"""`singletrack up`: the whole stack in one terminal, until Ctrl-C."""

import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from singletrack.cli.failure import EXIT_BAD_INPUT, EXIT_PERMANENT, end_interrupted_line
from singletrack.cli.interrupts import ended_by_signals
from singletrack.wire.settings import address
from singletrack_ops.embedded.files import default_folder
from singletrack_ops.errors import AlreadyServed, PartEnded
from singletrack_ops.stack import WORKER_GRACE_S, GpuChoice, Stack
from singletrack_tasks.errors import InvalidConfiguration, SingletrackError

PIPED_WIDTH = 100


def run_up(
    *,
    folder: Path | None = None,
    flower: bool = True,
    flower_port: int | None = None,
    sandbox: bool = False,
    simulated_gpu: bool = False,
) -> int:
    """Bring up what is missing and hold it until Ctrl-C or SIGTERM; returns the exit status.

    0 after Ctrl-C, or where a worker serves the track already; 2 for settings that are of no use; 1 where a part
    cannot be started or ends by itself, with its name, its exit status and the end of its log. Nothing is started
    again here: that is what systemd and Compose are for. `sandbox` allows an Ollama with a tiny untrained VLM, and a
    tiny untrained CLIP.
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
                say=lambda text: console.print(Text(f"· {text}", style="dim")),
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
    """The exit status for what kept the stack from coming up: 2 for settings that are of no use, else 1."""
    return EXIT_BAD_INPUT if isinstance(error, InvalidConfiguration) else EXIT_PERMANENT


def make_console() -> Console:
    """Make a console that is as wide as the terminal, or 100 columns where the output is piped."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPED_WIDTH)
    return console


def services_table(stack: Stack) -> Table:
    """Tell what runs where, and where its log is."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    table.add_row("Redis", address(stack.redis_url), "redis.log" if stack.redis else "not ours: it stays")
    table.add_row("Ollama", *_ollama_cells(stack))
    table.add_row("Worker", f"process {stack.worker.pid}", stack.worker.log_path.name)
    if stack.beat is not None:
        table.add_row("Beat", f"process {stack.beat.pid}", stack.beat.log_path.name)
    if stack.metrics_url is not None:
        table.add_row("Metrics", stack.metrics_url, "")
    if stack.flower is not None:
        table.add_row("Flower", f"{stack.flower_url}", stack.flower.log_path.name)
    table.add_row("Folder", str(stack.folder), "")
    return table


def _ollama_cells(stack: Stack) -> tuple[str, str]:
    ollama = stack.ollama
    if ollama is None:
        return "none: the VLM is missing, all else works", ""
    model = f", {ollama.model} (untrained)" if ollama.model else ""
    return f"{ollama.url}{model}", "ollama/ollama.log" if ollama.child else "not ours: it stays"


def _hold(stack: Stack, console: Console) -> int:
    try:
        _greet(stack, console)
        stack.watch()
    except KeyboardInterrupt:
        end_interrupted_line()
        text = f"Ending. An operation in flight has {WORKER_GRACE_S:.0f} s to finish; Ctrl-C again ends it now."
        console.print(Text(text))
        return 0
    except PartEnded as error:
        # It quotes a log: its lines stay whole.
        console.print(Text(error.message, style="red"), soft_wrap=True)
        console.print(Text("Ending the rest. To have parts started again, run them under systemd or Compose."))
        return 1


def _end(stack: Stack) -> None:
    try:
        stack.stop()
    except KeyboardInterrupt:
        stack.stop()  # the operation in flight was cut short; whatever the interrupt left, ends here


def _greet(stack: Stack, console: Console) -> None:
    console.print()
    console.print(services_table(stack))
    console.print()
    if stack.client_file.exists():
        console.print(Text("In another shell:", style="bold"), soft_wrap=True)
        console.print(Text(f"  . {shlex.quote(str(stack.client_file))} && singletrack status"), soft_wrap=True)
    else:
        console.print(Text("In another shell, with the same SINGLETRACK_REDIS_URL: singletrack status"))
    console.print(Text("Ctrl-C ends everything that was started here."))
