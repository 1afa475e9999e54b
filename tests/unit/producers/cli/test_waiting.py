"""What the command line shows of a job that waits, and of an answer that comes in pieces."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from singletrack.answer_stream import Piece
from singletrack.cli.app import app
from singletrack.cli.commands.ask import _print_pieces
from singletrack.cli.waiting import progress_line
from singletrack.reading.progress import Progress
from singletrack_tasks.errors import JobCancelled
from singletrack_tasks.status import Stage
from tests.unit.producers.conftest import TRACK, Backstage, wait_until
from tests.unit.producers.statuses import operation

HIDDEN_CURSOR, SHOWN_CURSOR = "\x1b[?25l", "\x1b[?25h"
LIMIT_S = 60.0


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Progress(None), ""),
        (Progress(1, wait_s=0.0), "next in the queue, about 0 s"),
        (Progress(1, loads_vlm=True), "next in the queue, the VLM has to be loaded"),
        (Progress(3, ("ask", "mode"), wait_s=7.4), "number 3 in the queue, behind ask, mode, about 7 s"),
        (
            Progress(6, ("ask", "ping", "ask", "ask", "mode")),
            "number 6 in the queue, behind 3 x ask, 1 x ping, 1 x mode",
        ),
        (Progress(1, endless_starts=2), "next in the queue, held back since 2 starts had no end"),
    ],
)
def test_why_it_waits(progress: Progress, said: str) -> None:
    assert progress_line(progress) == said


@pytest.mark.parametrize(
    ("stage", "tokens", "stage_s", "said"),
    [
        ("load_vlm", None, 3.2, "loading the VLM, 3 s"),
        ("read", None, 0.0, "the VLM is reading, 0 s"),
        ("generate", 3, 0.5, "the VLM is writing, 3 tokens"),
        ("generate", 90, 3.0, "the VLM is writing, 90 tokens, 30 tokens/s"),
    ],
)
def test_what_it_is_at(stage: Stage, tokens: int | None, stage_s: float, said: str) -> None:
    at = operation("j-1", stage=stage, answer_tokens=tokens)
    assert progress_line(Progress(0, operation=at, stage_s=stage_s)) == said


def test_an_answer_is_printed_while_it_is_written(served: str) -> None:
    run = ["--redis-url", served, "--track", TRACK, "ask", "--stream"]
    assert CliRunner().invoke(app, [*run, "one two three"]).stdout == "one two three\n"
    assert CliRunner().invoke(app, [*run, "again: and"]).stdout == "again: and\n(once more)\nagain: and\n"
    refused = CliRunner().invoke(app, [*run, "--json", "what?"])
    assert refused.exit_code == 2
    assert "give one" in refused.stderr


def test_an_error_is_told_below_what_there_is_of_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Iterator[Piece]:
        yield Piece("one", 1)
        raise JobCancelled("broken off")

    stream: Any = broken()
    with pytest.raises(JobCancelled):
        _print_pieces(stream)
    assert capsys.readouterr().out == "one\n"


class Terminal:
    """A pseudo-terminal on the stderr of a program."""

    def __init__(self, program: "subprocess.Popen[bytes]", screen: int) -> None:
        self.program = program
        self._screen = screen
        self.seen = ""

    def ended(self) -> bool:
        """Whether the program has ended; reads what is there, since a program whose terminal nobody reads stops."""
        ended = self.program.poll() is not None
        # After that look, so that all of what an ended program has shown is read.
        self.shows("")
        return ended

    def shows(self, text: str) -> bool:
        """Whether the text has been on the screen; reads what is there."""
        while select.select([self._screen], [], [], 0)[0]:
            try:
                self.seen += os.read(self._screen, 4096).decode("utf-8", "replace")
            except OSError:  # how a terminal tells that the program has ended
                break
        return text in self.seen


@contextmanager
def on_a_terminal(served: str, *args: str) -> Iterator[Terminal]:
    """Run the command line with its stderr on a terminal, stdout on a pipe."""
    screen, end = pty.openpty()
    # What a shell's background runs ignores the interrupt, and so would this.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    script = f"{hear}; from singletrack.cli import main; main()"
    command = [sys.executable, "-c", script, "--redis-url", served, "--track", TRACK, *args]
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=environ) as program:
        os.close(end)
        try:
            yield Terminal(program, screen)
        finally:
            program.kill()
            os.close(screen)


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_a_terminal_shows_why_it_waits(served: str, backstage: Backstage, stream: tuple[str, ...]) -> None:
    ran = len(backstage.ran)
    with on_a_terminal(served, "ask", "wait", *stream) as terminal:
        wait_until(lambda: not terminal.ended() and backstage.ran[ran:] == ["ask"], LIMIT_S)
        with on_a_terminal(served, "ask", "hello", *stream) as second:
            wait_until(lambda: not terminal.ended() and second.shows("next in the queue"), LIMIT_S)
            terminal.program.send_signal(signal.SIGINT)
            wait_until(lambda: second.ended() and terminal.ended(), LIMIT_S)
            assert second.program.returncode == 0
            assert second.program.stdout is not None
            assert second.program.stdout.read() == b"hello\n"
        assert terminal.program.returncode == 130
        assert terminal.seen.rindex(SHOWN_CURSOR) > terminal.seen.rindex(HIDDEN_CURSOR)
