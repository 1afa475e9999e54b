"""`singletrack demo`: from nothing to the end of an agent's day, with every promise checked on the way."""

import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from singletrack import Client
from singletrack.cli.failure import end_interrupted_line
from singletrack.cli.interrupts import ended_by_signals
from singletrack.pictures.vram_timeline import build_timeline
from singletrack_ops.demo.agent_act import play_agent_act
from singletrack_ops.demo.cross_checks import cross_check
from singletrack_ops.demo.day import Day
from singletrack_ops.demo.diary import Diary
from singletrack_ops.demo.own_stack import start_own_stack, substitutes
from singletrack_ops.demo.report import print_report
from singletrack_ops.stack import Stack
from singletrack_ops.up import failed_status, make_console, say_on, stack_table
from singletrack_tasks.errors import SingletrackError

# Drawn beyond the end, to make the last mode visible.
_AFTERGLOW_S = 2.0
_STOP_GRACE_S = 10.0


def run_demo(*, folder: Path | None = None, keep: bool = False, flower_port: int | None = None) -> int:
    """Play a short day on a stack of its own and report; returns 0 if every expectation held, else 1.

    It is 2 for unusable settings, and 130 if Ctrl-C ends it early.

    Data and logs go to `folder`, else to a temporary one that is kept only if something went wrong; the report of the
    last act stays. With `keep` the stack stays up after the report until Ctrl-C. Without a real GPU one is simulated;
    with neither an Ollama nor the sandbox the day is played degraded.
    """
    console = make_console()
    home = folder or Path(tempfile.mkdtemp(prefix="singletrack-demo-"))
    status = 1
    with ended_by_signals():
        try:
            status = _run(home, folder, console, keep=keep, flower_port=flower_port)
        except KeyboardInterrupt:
            end_interrupted_line()
            console.print(Text("Stopped early.", style="yellow"))
            status = 130
        except SingletrackError as error:
            console.print(Text(f"{type(error).__name__}: {error.message}", style="bold red"))
            status = failed_status(error)
    if status == 1:
        console.print(Text(f"The logs are in {home}."), soft_wrap=True)
    elif folder is None:
        shutil.rmtree(home)
    return status


def _run(home: Path, folder: Path | None, console: Console, *, keep: bool, flower_port: int | None) -> int:
    began_s = time.monotonic()
    console.print(Text.assemble(("Singletrack", "bold"), "  one GPU, two tenants: an agent's short day"))
    with start_own_stack(home, flower_port, say_on(console)) as stack:
        _introduce(stack, console)
        diary = Diary(console)
        with stack.client() as client:
            _live(client, diary, console, stack)
        console.print()
        console.print(Text("FLOWER AND METRICS", style="bold"))
        cross_check(stack, diary)
        play_agent_act(stack, diary, console, folder)
        stack.check()
        status = _conclude(diary, console, time.monotonic() - began_s)
        if keep:
            console.print(Text(f"Flower stays up at {stack.flower_url}, its GPU page at /gpu, until Ctrl-C."))
            _hold(stack)
        stack.stop(_STOP_GRACE_S)
    return status


def _introduce(stack: Stack, console: Console) -> None:
    console.print()
    console.print(stack_table(stack))
    if lines := tuple(substitutes(stack)):
        console.print()
        console.print(Text("Substituted on this machine:"))
        for line in lines:
            console.print(Text(f"  {line}"))


def _live(client: Client, diary: Diary, console: Console, stack: Stack) -> None:
    entries = list(client.events())
    first = client.status()
    try:
        Day(client, diary, has_vlm=stack.ollama is not None).live()
    finally:
        stack.check()  # if a part has died, that is the error to report
    end_unix_s = client.status().taken_unix_s + _AFTERGLOW_S
    events = [event for _, event in client.events(entries[-1][0] if entries else None)]
    print_report(console, diary, events, build_timeline(first, events, end_unix_s))


def _conclude(diary: Diary, console: Console, took_s: float) -> int:
    total, unmet = len(diary.expectations), diary.unmet
    console.print()
    for expectation in unmet:
        console.print(Text(f"✗ FAILED: {expectation.text}", style="bold red"))
    summary = (
        f"Verified in {took_s:.0f} s: all {total} expectations held over {len(diary.operations)} operations."
        if not unmet
        else f"{len(unmet)} of {total} expectations did not hold."
    )
    console.print(Text(summary, style="bold red" if unmet else "bold green"))
    return 1 if unmet else 0


def _hold(stack: Stack) -> None:
    try:
        stack.watch()
    except KeyboardInterrupt:
        end_interrupted_line()  # the intended end
