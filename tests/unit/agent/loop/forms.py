"""A small desktop with a form, drawn here and read by the real engine."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from singletrack.agent.desktop.scripted import ScriptedDesktop
from singletrack.agent.desktop.scripted.script import (
    DesktopScript,
    ScriptedField,
    ScriptedMove,
    ScriptedPatch,
    ScriptedState,
)
from singletrack.agent.loop.execution_loop import ExecutionLoop
from singletrack.agent.loop.parts import Desk, Eyes, Pace, Surroundings
from singletrack.agent.loop.worker_use import WorkerUse
from singletrack.agent.report.model import StepReport
from singletrack.agent.resolver import Resolver
from singletrack.agent.screen.ports import StopSignal
from singletrack.agent.screen.screenshot import Screenshot
from singletrack.agent.targets.geometry import Box, Point
from singletrack.agent.words.engines import default_reader
from singletrack.agent.words.reader import TextReader
from singletrack.agent.workflow.model import Workflow
from singletrack.agent.workflow.steps import AnyStep

SIZE = (1000, 600)
ORIGIN = Point(-1000, -40)
NAME, PIN = Box(240, 100, 400, 50), Box(240, 180, 400, 50)
SAVE, HELP, DIALOG = Box(240, 300, 160, 50), Box(440, 300, 160, 50), Box(200, 260, 460, 130)
SAVED_TEXT = "Record was saved"
SECRET = "hunter2-is-not-shown"


def draw(file: Path, texts: Iterable[tuple[str, int, int]], frames: Iterable[Box] = ()) -> None:
    """A window with texts and framed boxes."""
    picture = Image.new("RGB", SIZE, "#f4f5f7")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, SIZE[0], 60), fill="#dfe3ea")
    for frame in frames:
        pen.rectangle((frame.left, frame.top, frame.right, frame.bottom), fill="white", outline="#8a94a3", width=2)
    for text, x, y in texts:
        pen.text((x, y), text, fill="#1a202c", font=ImageFont.load_default(24), anchor="lm")
    picture.save(file)


def draw_all(folder: Path) -> None:
    form = [("Customer form", 30, 30), ("Name", 60, 125), ("Secret pin", 60, 205), ("Your name", 260, 125),
            ("Save record", 252, 325), ("Help", 490, 325), ("Enter the details of a customer", 60, 470)]  # fmt: skip
    draw(folder / "form.png", form, (NAME, PIN, SAVE, HELP))
    saved = [("Customer form", 30, 30), (SAVED_TEXT, 60, 125), ("You may close the window", 60, 205)]
    draw(folder / "saved.png", saved)
    player = [("Player", 30, 30), ("Now playing", 60, 125), ("Pause", 60, 205), ("Stop", 60, 285)]
    draw(folder / "other.png", [*player, ("Volume", 60, 365), ("Volume", 460, 365)])


def script(**more: object) -> DesktopScript:
    fields = (ScriptedField(name="name", box=NAME, text_px=24), ScriptedField(name="pin", box=PIN, secret=True))
    moves = (ScriptedMove(to="saved", box=SAVE, name="save"), ScriptedMove(to="other", on="press", keys=("f5",)),
             ScriptedMove(to="saved", on="scroll", box=DIALOG))  # fmt: skip
    over = ScriptedPatch(box=DIALOG, fill="#ffffff", text="Please wait", text_px=24)
    noted = ScriptedPatch(box=Box(500, 430, 400, 100), fill="#ffe9a8", text="One more thing", text_px=24)
    states = (
        ScriptedState.model_validate(
            {"name": "form", "picture": "form.png", "title": "Form", "fields": fields, "moves": moves, **more}
        ),
        ScriptedState(name="saved", picture="saved.png", title="Form"),
        ScriptedState(name="other", picture="other.png", title="Player"),
        ScriptedState(name="covered", picture="form.png", title="Form", patches=(over,)),
        ScriptedState(name="noted", picture="form.png", title="Form", patches=(noted,)),
    )
    return DesktopScript(states=states, origin=ORIGIN)


class FastClock:
    """Time that passes by being waited for."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s


class Hooked(ScriptedDesktop):
    """Calls something before each screenshot: what happens on a desktop by itself."""

    on_grab: Callable[[], None] | None = None
    grabs = 0

    def grab(self) -> Screenshot:
        self.grabs += 1
        if self.on_grab is not None:
            self.on_grab()
        return super().grab()


@functools.cache
def reader() -> TextReader:
    return default_reader()


class Bench:
    """A loop at a scripted desktop, and the steps that it reported."""

    def __init__(self, desktop: Hooked, stop: StopSignal, worker: WorkerUse | None = None) -> None:
        self.desktop = desktop
        self.clock = FastClock()
        self.told: list[StepReport] = []
        pace = Pace(clock=self.clock, sleep=self.clock.sleep)
        surroundings = Surroundings({"PIN": SECRET, "SHORT": "ab"}, self.told.append)
        eyes = Eyes(reader(), Resolver())
        self.loop = ExecutionLoop(Desk(desktop, desktop, stop), eyes, worker, pace=pace, surroundings=surroundings)


def flow(*steps: AnyStep, needs_worker: bool = False) -> Workflow:
    return Workflow(name="Form", needs_worker=needs_worker, steps=steps)
