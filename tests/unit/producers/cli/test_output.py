"""What others wrote, on its way to a terminal: shown as it is, and never obeyed."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest

from singletrack.cli import output
from singletrack.cli.commands.embed import _similarities
from singletrack.cli.failure import show_error
from singletrack_tasks.requests.mode import ModeResult
from singletrack_tasks.result import Degradation, DegradedCode, StepReceipt
from singletrack_tasks.status import ExecutionMode
from tests.unit.producers.conftest import TRACK
from tests.unit.producers.small_worker import vector_of

NASTY = "a:b:c [/x] \x1b]0;title\x07 \x9b2J \u202ered\nnext"
HARMLESS = "a:b:c [/x] \ufffd]0;title\ufffd \ufffd2J \ufffdred next"


def test_a_text_of_others_is_one_harmless_line() -> None:
    assert output.one_line(NASTY) == HARMLESS


def test_an_error_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(NASTY)
    assert capsys.readouterr().err == f"{HARMLESS}\n"


def test_receipts_and_reasons_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    receipt = StepReceipt(step="load_vlm", ok=False, duration_s=1, detail=NASTY)
    reason = Degradation(code=DegradedCode.NO_GPU, message=NASTY, since_unix_s=1)
    mode = ExecutionMode.IDLE
    output.print_receipts(ModeResult(before=mode, after=mode, receipts=(receipt,), reasons=(reason,)))
    shown = capsys.readouterr().out
    assert f"no: {HARMLESS}" in shown
    assert f"degraded (no_gpu): {HARMLESS}\n" in shown


def test_texts_that_are_compared_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.console().print(_similarities(["[/x]", "\x1b[2J"], np.stack([vector_of("a"), vector_of("b")])))
    shown = capsys.readouterr().out
    assert shown.count("[/x]") == 2
    assert shown.count("\ufffd[2J") == 2


def test_an_answer_is_whole_in_a_pipe_and_harmless_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "one\ttwo\r\n\x1b[31m 漢字 👩\u200d👧 \x9b2J"
    assert output.answer_text(answer) == answer
    monkeypatch.setattr(output, "is_terminal", lambda stream: stream is sys.stdout)
    assert output.answer_text(answer) == "one\ttwo\r\n\ufffd[31m 漢字 👩\u200d👧 \ufffd2J"


def test_json_has_no_letters_that_its_reader_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, printed in (("utf-8", '"漢"\n'), ("cp1252", '"\\u6f22"\n')):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
        monkeypatch.setattr(sys, "stdout", stream)
        output.print_json("漢")
        stream.flush()
        assert stream.buffer.getvalue().decode(encoding) == printed


def test_a_program_without_letters_or_streams_goes_on(served: str) -> None:
    run = [sys.executable, "-c", "from singletrack.cli import main; main()", "--redis-url", served, "--track", TRACK]
    question = [*run, "ask", "--stream", "漢字 there"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    assert subprocess.run(question, check=True, stdout=subprocess.PIPE, env=ascii_only).stdout == b"?? there\n"
    without_stderr = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *run, "ask", "hello"]
    assert subprocess.run(without_stderr, check=True, stdout=subprocess.PIPE).stdout == b"hello\n"
