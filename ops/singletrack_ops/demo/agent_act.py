"""The last act of the demo: an agent plays the reference workflow on a desktop of pictures."""

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.text import Text

from singletrack import Client
from singletrack_ops.demo.diary import Diary
from singletrack_ops.demo.samples import samples_folder
from singletrack_ops.stack import Stack
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_ops.stand_in.sighted import Sighted
from singletrack_ops.stand_in.truth import Truth
from singletrack_ops.up import say_on

WORKFLOW = "workflow"
_SCRIPTED_VLM, _SCRIPTED_MB = "scripted-vlm:7b", 3000
_TRACK = "demo-agent"
_STOP_GRACE_S = 10.0
_INSTALL = "pip install 'singletrack[agent]'"


def play_agent_act(stack: Stack, diary: Diary, console: Console, folder: Path | None) -> None:
    """Play the workflow with the stack's VLM if that is a real one, else with a scripted one, and keep the report.

    The report goes into `folder`, else into a new temporary one, which stays.
    """
    diary.chapter("THE AGENT", "a workflow on a desktop of pictures: found by sight, verified, never clicked elsewhere")
    if missing := _missing_package():
        diary.say(f"left out: seeing a screen needs the package {missing}: {_INSTALL}")
        return
    has_real_vlm = stack.ollama is not None and stack.ollama.model is None
    if has_real_vlm:
        with stack.client() as client:
            _play(client, diary, console, folder)
        return
    diary.say("its VLM is scripted: it answers from the truth about the pictures. A real one runs it unchanged.")
    with _scripted_track(stack, console) as client:
        _play(client, diary, console, folder)


def _missing_package() -> str:
    needed = ("cv2", "rapidfuzz", "yaml")
    missing = [name for name in needed if find_spec(name) is None]
    if find_spec("faster_paddle") is None and find_spec("rapidocr") is None:
        missing.append("faster-paddle")
    return ", ".join(missing)


@contextmanager
def _scripted_track(stack: Stack, console: Console) -> Iterator[Client]:
    """A track of its own beside the demo's, with a server that answers from the truth."""
    names = json.loads((samples_folder() / WORKFLOW / "names.json").read_text(encoding="utf-8"))
    answers = Sighted(Truth.read(samples_folder()), names)
    with StandInOllama({_SCRIPTED_VLM: _SCRIPTED_MB}, answerer=answers) as server:
        environ = dict(stack.worker_env) | {
            "SINGLETRACK_REDIS_URL": stack.redis_url,
            "SINGLETRACK_TRACK": _TRACK,
            "SINGLETRACK_OLLAMA_URL": server.url,
            "SINGLETRACK_VLM_MODEL": _SCRIPTED_VLM,
            "SINGLETRACK_SIMULATED_VLM_MB": str(_SCRIPTED_MB),
            "SINGLETRACK_METRICS_PORT": "0",
        }
        with Stack.start(
            stack.folder / "agent",
            environ=environ,
            gpu="simulated",
            with_beat=False,
            with_flower=False,
            say=say_on(console),
        ) as own:
            try:
                with own.client() as client:
                    yield client
            finally:
                own.check()
                own.stop(_STOP_GRACE_S)


def _play(client: Client, diary: Diary, console: Console, folder: Path | None) -> None:
    from singletrack.agent.desktop.scripted import ScriptedDesktop
    from singletrack.agent.loop.assembly import standard_loop
    from singletrack.agent.loop.parts import Desk, Surroundings
    from singletrack.agent.report.model import RunOutcome, StepReport
    from singletrack.agent.report.saving import save_report
    from singletrack.agent.report.table import report_table
    from singletrack.agent.targets.resolution import Method
    from singletrack.agent.workflow.loading import load_workflow
    from singletrack_ops.demo.first_design import WorkflowFigures, comparison

    home = samples_folder() / WORKFLOW
    desktop = ScriptedDesktop.load(home)

    def tell(step: StepReport) -> None:
        target = f" {step.target.name!r}" if step.target else ""
        diary.say(f"{step.number:>2}. {step.kind}{target}  {step.took_ms / 1000:.1f} s")

    surroundings = Surroundings(dict(os.environ), tell)
    loop = standard_loop(Desk(desktop, desktop, threading.Event()), client, surroundings=surroundings)
    mode = client.status().mode
    report = diary.act("run the reference workflow", lambda: loop.run(load_workflow(home / "workflow.yaml")))
    figures = WorkflowFigures.of(report)
    diary.expect(
        report.outcome is RunOutcome.COMPLETED, f"all {len(report.steps)} steps were done {report.why}".strip()
    )
    diary.expect(set(figures.methods) == set(Method), "each way of finding a target was needed at least once")
    diary.expect(not desktop.strays, "the desktop received no click and no text that hit nothing")
    diary.expect(figures.texts_right == figures.texts, "what was typed was read back")
    diary.expect(client.status().mode is mode, f"the track is in {mode} again")
    console.print()
    console.print(report_table(report))
    console.print()
    console.print(comparison(figures))
    kept = folder / "report" if folder else Path(tempfile.mkdtemp(prefix="singletrack-report-"))
    saved = save_report(report, kept)
    console.print("The report is on this page:")
    console.print(Text(str(saved.page)), soft_wrap=True)
