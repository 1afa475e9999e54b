"""Windows of real applications to look at and to click into, each with a record of what it received."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from singletrack.agent.targets.geometry import Box
from tests.integration.agent.x_server import LIMIT_S, XServer, stopped
from tests.integration.ops.waiting import wait_for

PROGRAM = Path(__file__).with_name("form_app.py")


class FormWindow:
    """The form application, by its record and its orders."""

    def __init__(self, record: Path, process: "subprocess.Popen[str]") -> None:
        self._record = record
        self._process = process

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
        return found

    def box(self, name: str) -> Box:
        """Where a widget is on the desktop."""
        return Box(*self.record["boxes"][name])

    def wait(self, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Wait until the record fulfils a condition."""
        wait_for(lambda: condition(self.record), what, LIMIT_S)

    def order(self, order: str) -> None:
        """Have the application do something, and wait until it has done it."""
        before = len(self.record["orders"])
        assert self._process.stdin is not None
        print(order, file=self._process.stdin, flush=True)
        self.wait(lambda record: len(record["orders"]) > before, f"{order} is done")


@contextmanager
def form_window(
    server: XServer, folder: Path, *, scale: float = 1.0, title: str = "New customer"
) -> Iterator[FormWindow]:
    """Start the form application and wait until its window is there and has the keyboard."""
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "record.json"
    with (folder / "form.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(record), str(scale), title],
            env=server.environ,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        )
        with stopped(process):
            window = FormWindow(record, process)
            wait_for(
                lambda: (record.exists() and window.record["is_ready"]) or process.poll() is not None,
                "the form is on the screen",
                LIMIT_S,
            )
            assert process.poll() is None, (folder / "form.log").read_text(encoding="utf-8")
            yield window
