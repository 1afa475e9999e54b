"""`singletrack demo`: from nothing to the end of an agent's day, every promise checked on the way."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from singletrack import Client
from singletrack.cli.failure import end_interrupted_line
from singletrack.cli.interrupts import ended_by_signals
from singletrack.pictures.vram_timeline import build_timeline
from singletrack_ops.demo.day import Day
from singletrack_ops.demo.diary import Diary
from singletrack_ops.demo.onlookers import check_onlookers
from singletrack_ops.demo.report import print_report
from singletrack_ops.embedded.net import free_port, get_json
from singletrack_ops.services import METRICS_PORT_SETTING
from singletrack_ops.stack import Stack
from singletrack_ops.up import failed_status, make_console, services_table
from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.ollama_address import DEFAULT_URL, client_url

_DEFAULT_VLM = "qwen2.5vl:7b"
_PROBE_TIMEOUT_S = 20.0
_TAGS_TIMEOUT_S = 2.0
# Drawn beyond the end, so that the last mode is seen as well.
_AFTERGLOW_S = 2.0
_STOP_GRACE_S = 10.0
# Succeeds where there is an NVIDIA driver with a GPU. In a process of its own: this package never loads the driver.
_PROBE = "import pynvml; pynvml.nvmlInit(); assert pynvml.nvmlDeviceGetCount()"
# So that an idle VLM is sent away while somebody watches.
_QUICK = {"SINGLETRACK_IDLE_TIMEOUT_S": "8", "SINGLETRACK_TICK_INTERVAL_S": "2"}
# On 8 GiB these two do not fit together, as on most desks.
_SIMULATED = {
    "SINGLETRACK_SIMULATED_TOTAL_MB": "8192",
    "SINGLETRACK_SIMULATED_VLM_MB": "6600",
    "SINGLETRACK_SIMULATED_CLIP_MB": "1400",
}


def run_demo(*, folder: Path | None = None, keep: bool = False, flower_port: int | None = None) -> int:
    """Play a short day on a stack of its own and report; returns 0 if all that had to be so was so, else 1.

    Settings that are of no use are 2, and an early end by Ctrl-C is 130.

    Data and logs go to `folder`, else to a temporary one that stays only where something went wrong. With `keep`
    the stack stays up after the report, for a look at Flower, until Ctrl-C. Without a real GPU one is simulated;
    without an Ollama and without a sandbox the day is lived in degraded mode.
    """
    console = make_console()
    home = folder or Path(tempfile.mkdtemp(prefix="singletrack-demo-"))
    status = 1
    with ended_by_signals():
        try:
            status = _run(home, console, keep=keep, flower_port=flower_port)
        except KeyboardInterrupt:
            end_interrupted_line()
            console.print(Text("Ended early.", style="yellow"))
            status = 130
        except SingletrackError as error:
            console.print(Text(f"{type(error).__name__}: {error.message}", style="bold red"))
            status = failed_status(error)
    if status == 1:
        console.print(Text(f"The logs are in {home}."), soft_wrap=True)
    elif folder is None:
        shutil.rmtree(home)
    return status


def _run(home: Path, console: Console, *, keep: bool, flower_port: int | None) -> int:
    began_s = time.monotonic()
    console.print(Text.assemble(("Singletrack", "bold"), "  one GPU, two tenants: a short day of an agent"))
    with _start(home, console, flower_port) as stack:
        _introduce(stack, console)
        diary = Diary(console)
        with stack.client() as client:
            _live(client, diary, console, stack)
        console.print()
        console.print(Text("FLOWER AND METRICS", style="bold"))
        check_onlookers(stack, diary)
        stack.check()
        status = _conclude(diary, console, time.monotonic() - began_s)
        if keep:
            console.print(
                Text(f"Flower stays at {stack.flower_url}, its GPU page at {stack.flower_url}/gpu, until Ctrl-C.")
            )
            _hold(stack)
        stack.stop(_STOP_GRACE_S)
    return status


def _start(home: Path, console: Console, flower_port: int | None) -> Stack:
    # The stack is the demo's own: no Redis of the user's, a Flower that asks for no password, metrics of its own.
    others = ("SINGLETRACK_REDIS_URL", "SINGLETRACK_METRICS_", "FLOWER_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    gpu = _has_gpu()
    own = bool(environ.get("SINGLETRACK_OLLAMA_URL")) or (gpu and _has_model(environ))
    # The sandbox computes on the CPU: on a real GPU its VLM would take no memory.
    simulated = not (gpu and own)
    # The usual port is left to a worker of the user's that may be about to start.
    settings = _QUICK | {METRICS_PORT_SETTING: str(free_port())}
    return Stack.start(
        home,
        environ=environ,
        flower_port=flower_port,
        own_ollama=own,
        allow_sandbox=not own,
        tiny_clip=True,
        gpu="simulated" if simulated else "auto",
        extra_env=settings | (_SIMULATED if simulated else {}),
        say=lambda text: console.print(Text(f"· {text}", style="dim")),
    )


def _introduce(stack: Stack, console: Console) -> None:
    console.print()
    console.print(services_table(stack))
    console.print()
    with stack.client() as client:
        status = client.status()
    if status.gpu is not None and status.gpu.simulated:
        console.print(Text(f"The GPU is a {status.gpu.name}: memory is accounted for, nothing is computed on it."))
    if status.clip.model is not None and not status.clip.model.trained:
        console.print(Text("CLIP is tiny and untrained: its figures are real, their meaning is not."))
    if stack.ollama is not None and stack.ollama.model is not None:
        console.print(Text("The VLM is tiny and untrained: it answers from a real Ollama, and means nothing by it."))
    if stack.ollama is None:
        console.print(Text(f"There is no VLM, so the day is lived in degraded mode. {stack.ollama_problem}"))


def _live(client: Client, diary: Diary, console: Console, stack: Stack) -> None:
    entries = list(client.events())
    first = client.status()
    try:
        Day(client, diary, has_vlm=stack.ollama is not None).live()
    finally:
        stack.check()  # where a part has died, that is what has to be told
    end_unix_s = client.status().taken_unix_s + _AFTERGLOW_S
    events = [event for _, event in client.events(entries[-1][0] if entries else None)]
    print_report(console, diary, events, build_timeline(first, events, end_unix_s))


def _conclude(diary: Diary, console: Console, took_s: float) -> int:
    met, unmet = len(diary.expectations) - len(diary.unmet), diary.unmet
    console.print()
    for expectation in unmet:
        console.print(Text(f"✗ NOT SO: {expectation.text}", style="bold red"))
    summary = (
        f"Verified in {took_s:.0f} s: {met} of {len(diary.expectations)} expectations held over "
        f"{len(diary.operations)} operations; every move of memory was read back."
        if not unmet
        else f"{len(unmet)} of {len(diary.expectations)} expectations did not hold."
    )
    console.print(Text(summary, style="bold red" if unmet else "bold green"))
    return 1 if unmet else 0


def _hold(stack: Stack) -> None:
    try:
        stack.watch()
    except KeyboardInterrupt:
        end_interrupted_line()  # that is how it is meant to end


def _has_gpu() -> bool:
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # a driver that hangs is none that the demo could use
    return probe.returncode == 0


def _has_model(environ: Mapping[str, str]) -> bool:
    """Whether an Ollama runs here that has the VLM."""
    wanted = environ.get("SINGLETRACK_VLM_MODEL") or _DEFAULT_VLM
    host = environ.get("OLLAMA_HOST", "").strip()
    answer = get_json(f"{client_url(host) if host else DEFAULT_URL}/api/tags", _TAGS_TIMEOUT_S)
    models = answer.get("models", []) if isinstance(answer, dict) else []
    return any(model.get("name") in (wanted, f"{wanted}:latest") for model in models)
