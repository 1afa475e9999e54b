"""Windows of real applications to look at and to click into, each with a record of what it received."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from singletrack.agent.targets.geometry import Box
from tests.integration.agent.x_server import LIMIT_S, XServer, stopped
from tests.integration.ops.waiting import wait_for

_HERE = Path(__file__).parent
_CHROMIUM_FLAGS = (
    "--no-sandbox",
    # Keeps the bar about --no-sandbox away.
    "--test-type",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate",
    "--password-store=basic",
)


class AppWindow:
    """An application, by its record and, where it takes some, its orders."""

    def __init__(self, record: Path, process: "subprocess.Popen[str]") -> None:
        self._record = record
        self._process = process

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
        return found

    @property
    def clicked(self) -> list[str]:
        """The names of what was clicked."""
        return [click["on"] for click in self.record["clicks"]]

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
) -> Iterator[AppWindow]:
    """A form in a window of Tk's, once it is there and has the keyboard."""
    record = folder / "form.json"
    with _program(server, folder, "form_app.py", record, str(scale), title) as process:
        yield _ready(AppWindow(record, process), record, process, folder, lambda found: found["is_ready"])


@contextmanager
def backdrop(server: XServer, folder: Path) -> Iterator[AppWindow]:
    """What lies around the other windows; start it before them."""
    record = folder / "backdrop.json"
    with _program(server, folder, "backdrop_app.py", record) as process:
        yield _ready(AppWindow(record, process), record, process, folder, lambda _: True)


@contextmanager
def form_page(server: XServer, folder: Path, *, scale: float = 1.0) -> Iterator[AppWindow]:
    """The same form as a page in a window of Chromium's; skips where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    record = folder / "page.json"
    folder.mkdir(parents=True, exist_ok=True)
    with _page_server(record) as url:
        flags = [f"--user-data-dir={folder / 'profile'}", f"--force-device-scale-factor={scale}", f"--app={url}"]
        place = ["--window-position=60,40", "--window-size=560,620"]
        with _running(server, folder, [chromium, *_CHROMIUM_FLAGS, *flags, *place]) as process:
            yield _ready(AppWindow(record, process), record, process, folder, lambda found: found["is_ready"])


@contextmanager
def _page_server(record: Path) -> Iterator[str]:
    page = (_HERE / "form_page.html").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            part = record.with_suffix(".part")
            part.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            part.replace(record)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _program(server: XServer, folder: Path, program: str, *words: object) -> "Iterator[subprocess.Popen[str]]":
    with _running(server, folder, [sys.executable, str(_HERE / program), *map(str, words)]) as process:
        yield process


@contextmanager
def _running(server: XServer, folder: Path, command: list[str]) -> "Iterator[subprocess.Popen[str]]":
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "applications.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, env=server.environ, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True
        )
        with stopped(process):
            yield process


def _ready(
    window: AppWindow,
    record: Path,
    process: "subprocess.Popen[str]",
    folder: Path,
    is_ready: Callable[[dict[str, Any]], bool],
) -> AppWindow:
    wait_for(
        lambda: (record.exists() and is_ready(window.record)) or process.poll() is not None,
        "the window is on the screen",
        LIMIT_S,
    )
    assert process.poll() is None, (folder / "applications.log").read_text(encoding="utf-8")
    return window
