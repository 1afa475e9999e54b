"""Watching a track: what is seen, and what the terminal is left like."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pytest

from singletrack.cli.screen.keyboard import Keyboard
from singletrack.cli.screen.watch import Watcher
from singletrack.client import Client
from singletrack_tasks.errors import WorkerFailure
from singletrack_tasks.events import ModeChanged
from singletrack_tasks.recording import Recording, Sample
from singletrack_tasks.status import ExecutionMode, ModelState
from tests.addresses import SILENT_REDIS
from tests.unit.producers.conftest import ROOT, TRACK, Backstage, wait_until
from tests.unit.producers.statuses import publish, status

ALTERNATE_SCREEN, MAIN_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
HIDDEN_CURSOR, SHOWN_CURSOR = b"\x1b[?25l", b"\x1b[?25h"
LIMIT_S = 30.0


def changed_to(mode: ExecutionMode) -> ModeChanged:
    return ModeChanged(at_unix_s=time.time(), before=ExecutionMode.IDLE, after=mode)


def emit(stage: Backstage, event: ModeChanged) -> None:
    stage.redis.xadd(stage.keys.events, {"event": event.model_dump_json()})


def test_a_worker_that_comes_and_goes_is_seen(lonely: Client, lonely_backstage: Backstage) -> None:
    watcher = Watcher(lonely)
    assert watcher.view().status is None
    watcher.look()
    assert "no worker serves" in watcher.view().problem
    publish(lonely_backstage, status())
    emit(lonely_backstage, changed_to(ExecutionMode.IDLE))
    watcher.look()
    seen = watcher.view()
    assert (seen.problem, seen.status is not None, len(seen.events)) == ("", True, 1)
    assert [mark.mode for mark in seen.marks][-1] == "IDLE"
    lonely_backstage.redis.delete(lonely_backstage.keys.status)
    watcher.look()
    assert watcher.view().status is None
    assert [mark.mode for mark in watcher.view().marks][-1] == "no worker"


def test_each_event_is_seen_once_also_when_more_happened_than_is_kept(
    lonely: Client, lonely_backstage: Backstage
) -> None:
    watcher = Watcher(lonely)
    for _ in range(2):
        emit(lonely_backstage, changed_to(ExecutionMode.IDLE))
        watcher.look()
    assert len(watcher.view().events) == 2
    for _ in range(9):
        emit(lonely_backstage, changed_to(ExecutionMode.RECORDING))
    lonely_backstage.redis.xtrim(lonely_backstage.keys.events, maxlen=3, approximate=False)
    watcher.look()
    assert [event.kind for event in watcher.view().events] == ["mode_changed"] * 3


def test_a_redis_that_is_lost_is_told() -> None:
    with Client(SILENT_REDIS, TRACK) as client:
        watcher = Watcher(client)
        watcher.look()
        assert "cannot be reached" in watcher.view().problem
        assert [mark.mode for mark in watcher.view().marks] == ["no Redis"]


def test_the_flight_recorder_fills_what_was_before(
    lonely: Client, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = Sample(at_unix_s=time.time() - 60, mode=ExecutionMode.RECORDING, vlm=ModelState.LOADED, clip_device="cpu")
    recording = Recording(track=lonely.track, reason="on_demand", taken_unix_s=time.time(), samples=(sample,))
    monkeypatch.setattr(lonely, "record", lambda timeout_s: recording)
    publish(lonely_backstage, status())
    with Watcher(lonely) as watcher:
        wait_until(lambda: [mark.mode for mark in watcher.view().marks] == ["IDLE", "RECORDING", "IDLE"])


def test_a_status_that_cannot_be_read_ends_the_watching(lonely: Client, lonely_backstage: Backstage) -> None:
    damaged = json.loads(status().model_dump_json()) | {"mode": "TURBO"}
    lonely_backstage.redis.set(lonely_backstage.keys.status, json.dumps(damaged), ex=60)

    def failed() -> bool:
        try:
            watcher.view()
        except WorkerFailure:
            return True
        return False

    with Watcher(lonely) as watcher:
        wait_until(failed)


def test_without_a_stdin_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with Keyboard() as keyboard:
        assert keyboard.wait(0) == ""


class Terminal:
    """`singletrack status --watch` in a pseudo-terminal."""

    def __init__(self, url: str, columns: int, rows: int) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        # What a shell's background runs ignores the interrupt, and so would this.
        hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        command = [sys.executable, "-c", f"{hear}; from singletrack.cli import main; main()"]
        left_out = ("COLUMNS", "LINES", "NO_COLOR", "TTY_COMPATIBLE")
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        self.program = subprocess.Popen(
            [*command, "--redis-url", url, "--track", TRACK, "status", "--watch"],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=ROOT,
            env=environment | {"TERM": "xterm-256color"},
            start_new_session=True,
        )

    def read_until(self, wanted: bytes) -> None:
        """Read what is drawn, until something is."""
        until_s = time.monotonic() + LIMIT_S
        while wanted not in self.output:
            assert time.monotonic() < until_s, self.output[-2000:]
            if select.select([self.master], [], [], 0.2)[0]:
                self.output += os.read(self.master, 65536)

    def end(self) -> int:
        """Wait for the end of the program; returns its exit status."""
        until_s = time.monotonic() + LIMIT_S
        while self.program.poll() is None:
            assert time.monotonic() < until_s, self.output[-2000:]
            if select.select([self.master], [], [], 0.05)[0]:
                self.output += os.read(self.master, 65536)
        while select.select([self.master], [], [], 0)[0]:
            self.output += os.read(self.master, 65536)
        return int(self.program.returncode)

    def close(self) -> None:
        if self.program.poll() is None:
            self.program.kill()
            self.program.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(served: str) -> Iterator[Terminal]:
    started = Terminal(served, 80, 24)
    yield started
    started.close()


def press_q(terminal: Terminal) -> None:
    # An arrow is no q, whatever letters its sequence has.
    os.write(terminal.master, b"\x1b[A")
    os.write(terminal.master, b"q")


def interrupt(terminal: Terminal) -> None:
    terminal.program.send_signal(signal.SIGINT)


def terminate(terminal: Terminal) -> None:
    terminal.program.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("leave", [press_q, interrupt, terminate], ids=["q", "SIGINT", "SIGTERM"])
def test_the_screen_comes_up_and_the_terminal_is_left_as_it_was(
    terminal: Terminal, leave: Callable[[Terminal], None]
) -> None:
    terminal.read_until(b"small-clip")
    assert terminal.output.index(ALTERNATE_SCREEN) < terminal.output.index(b"small-clip")
    assert f"singletrack {TRACK}".encode() in terminal.output
    while_full = termios.tcgetattr(terminal.slave)
    assert not while_full[3] & (termios.ICANON | termios.ECHO)
    leave(terminal)
    assert terminal.end() == 0
    _, _, after = terminal.output.rpartition(MAIN_SCREEN)
    assert MAIN_SCREEN in terminal.output
    assert after.replace(SHOWN_CURSOR, b"").strip() == b""
    assert terminal.output.rindex(SHOWN_CURSOR) > terminal.output.rindex(HIDDEN_CURSOR)
    assert termios.tcgetattr(terminal.slave) == terminal.before
