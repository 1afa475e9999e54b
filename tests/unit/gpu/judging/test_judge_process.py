"""The judge: whatever a schema costs, the worker goes on, and nothing of it stays behind."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO, cast

import psutil
import pytest

from singletrack_tasks.errors import InvalidSchema, JobCancelled, WorkerFailure
from singletrack_tasks.schema import JsonSchema, check_schema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.child.frames import write_frame
from singletrack_worker.gpu.child.process import command_of
from singletrack_worker.gpu.judging.judge_process import JudgeProcess
from singletrack_worker.gpu.judging.program import MEMORY_BYTES
from tests.integration.ops.waiting import wait_for

LIMIT_S = 120.0
SCHEMA: JsonSchema = {"type": "object", "required": ["kind"]}
TEXT = "a" * 40 + "!"
# Within its budget, and yet it takes longer than anybody lives.
ENDLESS: JsonSchema = {"enum": [TEXT], "pattern": "^(a|a|a|a|a|a)*$"}


@pytest.fixture
def judge() -> Iterator[JudgeProcess]:
    # More than any test takes: the limit has a test of its own.
    made = JudgeProcess(read_timeout_s=600)
    yield made
    made.stop()


def read(judge: JudgeProcess, text: str = '{"kind": "button"}', schema: JsonSchema = SCHEMA) -> object:
    return judge.read(text, schema, Cancellation())


def breaks_off(judge: JudgeProcess, cancellation: Cancellation) -> threading.Thread:
    """A thread that has an endless answer read, until it is cancelled; returns when the child is at it."""

    def run() -> None:
        with pytest.raises(JobCancelled):
            judge.read(json.dumps(TEXT), ENDLESS, cancellation)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_for(lambda: is_busy(judge), "the child is at it", LIMIT_S)
    return thread


def is_busy(judge: JudgeProcess) -> bool:
    """Whether the child has computed for longer than it takes to start."""
    pid = judge.pid
    return pid is not None and is_computing(psutil.Process(pid))


def is_computing(child: psutil.Process) -> bool:
    return child.cpu_times().user > 1.5


def test_no_child_is_started_before_there_is_an_answer(judge: JudgeProcess) -> None:
    assert judge.pid is None


def test_answers_are_read_by_one_child(judge: JudgeProcess) -> None:
    assert read(judge) == {"kind": "button"}
    pid = judge.pid
    with pytest.raises(ValueError, match=r"its root.*'required'") as misfit:
        read(judge, "{}")
    assert not isinstance(misfit.value, InvalidSchema)
    assert read(judge, "```json\n[1, null]\n```", {"type": "array"}) == [1, None]
    assert pid is not None
    assert judge.pid == pid


def test_an_unresolvable_reference_is_the_callers_error(judge: JudgeProcess) -> None:
    with pytest.raises(InvalidSchema, match="unresolvable"):
        read(judge, "{}", {"$ref": "#/$defs/nothing"})
    assert judge.pid is not None


def test_an_answer_that_takes_too_long_ends_the_child_and_not_the_next() -> None:
    judge = JudgeProcess(read_timeout_s=0.5)
    with pytest.raises(InvalidSchema, match=r"costs too much.*0\.5 s"):
        read(judge, json.dumps(TEXT), check_schema(ENDLESS))
    assert judge.pid is None
    judge.stop()
    again = JudgeProcess()
    assert read(again) == {"kind": "button"}
    again.stop()


def test_a_cancellation_breaks_off_at_once_and_the_next_answer_is_read(judge: JudgeProcess) -> None:
    cancellation = Cancellation()
    reading = breaks_off(judge, cancellation)
    cancellation.cancel()
    reading.join(LIMIT_S)
    assert not reading.is_alive()
    assert judge.pid is None
    assert read(judge) == {"kind": "button"}


def test_a_stop_breaks_off_for_good(judge: JudgeProcess) -> None:
    reading = breaks_off(judge, Cancellation())
    judge.stop()
    judge.stop()
    reading.join(LIMIT_S)
    assert not reading.is_alive()
    with pytest.raises(JobCancelled):
        read(judge)
    assert judge.pid is None


def test_a_cancelled_job_is_not_read(judge: JudgeProcess) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(JobCancelled):
        judge.read("{}", SCHEMA, cancellation)


def test_a_child_that_was_ended_between_two_answers_is_replaced(judge: JudgeProcess) -> None:
    read(judge)
    psutil.Process(judge.pid).kill()
    assert read(judge) == {"kind": "button"}


def test_what_takes_too_much_memory_is_the_callers_error(judge: JudgeProcess) -> None:
    """The list that `re` keeps of where it may go back to."""
    text = json.dumps("ab" * (MEMORY_BYTES // 128))
    with pytest.raises(InvalidSchema, match="memory"):
        read(judge, text, {"type": "string", "pattern": "^(?:(a|b)(?:))*$c"})
    assert read(judge) == {"kind": "button"}


@pytest.mark.parametrize(
    ("program", "error", "says"),
    [
        ("sys.exit(3)", WorkerFailure, "died"),
        ("answer({}); read_frame(stdin); os._exit(3)", InvalidSchema, "costs too much"),
        ("answer({}); read_frame(stdin); answer({'error': {'kind': 'defect', 'text': 'x'}})", WorkerFailure, "defect"),
    ],
)
def test_a_child_that_fails_fails_the_job_and_nothing_else(program: str, error: type[Exception], says: str) -> None:
    prelude = (
        "import os, sys\nfrom singletrack_worker.gpu.child.frames import read_frame, write_frame\n"
        "stdin = sys.stdin.buffer\nanswer = lambda header: write_frame(sys.stdout.buffer, header)\nread_frame(stdin)\n"
    )
    judge = JudgeProcess([sys.executable, "-c", prelude + program])
    with pytest.raises(error, match=says):
        read(judge)
    judge.stop()


def test_the_child_knows_nothing_of_the_workers_environment(
    judge: JudgeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINGLETRACK_REDIS_URL", "redis://:secret@nowhere")
    read(judge)
    assert not [name for name in psutil.Process(judge.pid).environ() if name.startswith("SINGLETRACK_")]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the child's watchdog ends it, later")
def test_the_child_dies_with_its_worker_whatever_it_is_doing() -> None:
    program = (
        "from tests.unit.gpu.judging.test_judge_process import *\n"
        "judge = JudgeProcess(read_timeout_s=600)\n"
        "read(judge)\nprint(judge.pid, flush=True)\nread(judge, json.dumps(TEXT), ENDLESS)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    try:
        child = psutil.Process(int(worker.stdout.readline()))
        wait_for(lambda: is_computing(child), "the child is at it", LIMIT_S)
    finally:
        worker.kill()
        worker.wait(LIMIT_S)
        worker.stdout.close()
    wait_for(lambda: not child.is_running(), "the child is gone", LIMIT_S)


def test_the_watchdog_of_a_child_needs_no_worker() -> None:
    """Where the kernel does not end a child with its worker, it ends itself."""
    program = (
        "import sys\nfrom singletrack_worker.gpu.judging import program\n"
        "program._die_with_worker = lambda: None\nprogram.main()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdin is not None
    assert child.stdout is not None
    payload = json.dumps({"text": json.dumps(TEXT), "schema": ENDLESS}).encode()
    write_frame(cast("BinaryIO", child.stdin), {"command": "read", "within_s": 0.5}, payload)
    assert child.wait(LIMIT_S) == 1
    child.stdin.close()
    child.stdout.close()


def test_the_command_line_keeps_the_current_folder_off_the_path() -> None:
    assert "-P" in command_of("x")
