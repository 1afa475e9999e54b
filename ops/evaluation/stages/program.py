"""Pages that are programs of their own: they are told what to hide on standard input, and answer on standard output."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from evaluation.looks import Look
from evaluation.stages.interpreters import interpreter_with
from evaluation.stages.pixels import decoded
from evaluation.stages.screen import VirtualScreen
from evaluation.stages.stage import Missing, Scene, to_element
from singletrack.agent.screen.screenshot import Pixels


@dataclass(frozen=True, slots=True)
class ProgramPage:
    """A program that shows a page.

    `needs` is the module that its interpreter must have, with a version for GTK, `binary` a program that it starts.
    `on_screen` says that it draws on an X display and is photographed there; otherwise it writes its pictures itself.
    """

    file: Path
    needs: str
    binary: str = ""
    on_screen: bool = False


class _Talk:
    """A running program, a question and an answer at a time."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._name = Path(command[1]).name
        self._running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        if self._running.stdin is None or self._running.stdout is None:
            raise OSError(f"{self._name} was started without pipes")
        self._asking, self._answering = self._running.stdin, self._running.stdout

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Say something, and wait for the answer."""
        self._asking.write(json.dumps(question) + "\n")
        self._asking.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for an answer; raises `ValueError` if the program ends instead."""
        line = self._answering.readline()
        if not line:
            raise ValueError(f"{self._name} ended with {self._running.wait()}: see what it printed above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Let it end, and wait for that."""
        self._asking.close()
        self._running.wait()
        self._answering.close()


class ProgramStage:
    """A program for each look; raises `Missing` without its toolkit or without Xvfb."""

    def __init__(self, page: ProgramPage) -> None:
        self._page = page
        self._closing = contextlib.ExitStack()
        self._interpreter = ""
        self._screen: VirtualScreen | None = None
        self._folder = Path()
        self._talk: _Talk | None = None
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self._interpreter = interpreter_with(self._page.needs)
        if self._page.binary and shutil.which(self._page.binary) is None:
            raise Missing(f"no {self._page.binary}: install the package of that name")
        with contextlib.ExitStack() as opening:
            self._folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="evaluation-")))
            if self._page.on_screen:
                self._screen = opening.enter_context(VirtualScreen())
            self._closing = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._closing.close()

    def show(self, look: Look) -> Scene:
        """Start the program with this look, in place of the one before."""
        self._end()
        shown = self._start(look)
        self._size = (shown["width"], shown["height"])
        return Scene(self._picture(shown), tuple(to_element(one) for one in shown["elements"]))

    def without(self, ids: Sequence[str]) -> Pixels:
        """Let the program hide some elements."""
        if self._talk is None:
            raise ValueError("show the page first")
        return self._picture(self._talk.ask({"hide": list(ids)}))

    def _start(self, look: Look) -> dict[str, Any]:
        options = {**asdict(look), "folder": str(self._folder)}
        environment = {**os.environ, **_environment(look)}
        if self._screen is not None:
            environment["DISPLAY"] = self._screen.display
        self._talk = _Talk([self._interpreter, str(self._page.file), json.dumps(options)], environment)
        return self._talk.answer()

    def _picture(self, answer: dict[str, Any]) -> Pixels:
        if self._screen is not None:
            return self._screen.grab(*self._size)
        return decoded(np.fromfile(answer["picture"], dtype=np.uint8))

    def _end(self) -> None:
        if self._talk is not None:
            self._talk.end()
            self._talk = None


def _environment(look: Look) -> dict[str, str]:
    """What a toolkit reads before it starts."""
    return {
        "QT_QPA_PLATFORM": "offscreen",
        "QT_SCALE_FACTOR": str(look.scale),
        "QT_SCALE_FACTOR_ROUNDING_POLICY": "PassThrough",
        "GDK_BACKEND": "x11",
        "GTK_THEME": "Adwaita:dark" if look.dark else "Adwaita",
        # GTK 3 and 4 look for no screen reader, for which they would need a session bus.
        "NO_AT_BRIDGE": "1",
        "GTK_A11Y": "none",
        "GSK_RENDERER": "cairo",
    }
