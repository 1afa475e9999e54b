"""Whatever a child process does, a call ends, and says why."""

import sys
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure
from singletrack_worker.gpu.clip.process import EncoderProcess

LIMIT_S = 30.0

PRELUDE = """
import os, sys, threading
from singletrack_worker.gpu.child.frames import read_frame, write_frame
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
def answer(header, payload=b""):
    write_frame(stdout, header, payload)
"""
ECHO = "while True:\n    frame = read_frame(stdin)\n    answer(frame.header, frame.payload)"
HANG = "threading.Event().wait()"
# A grandchild that holds stdout open when its parent has been killed: no read of the pipe ends.
HELD = (
    "import subprocess\n"
    "sleep = [sys.executable, '-c', 'import time; time.sleep(120)']\n"
    "nothing = subprocess.DEVNULL\n"
    "child = subprocess.Popen(sleep, stdin=nothing, stdout=sys.stdout, stderr=nothing)\n"
    "read_frame(stdin); answer({'pid': child.pid}); read_frame(stdin)\n" + HANG
)

Start = Callable[[str], EncoderProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[EncoderProcess] = []

    def start_program(program: str) -> EncoderProcess:
        processes.append(EncoderProcess([sys.executable, "-c", PRELUDE + program]))
        return processes[-1]

    yield start_program
    for process in processes:
        process.end()
        assert not psutil.pid_exists(process.pid)


def call(process: EncoderProcess, timeout_s: float = LIMIT_S) -> EncoderFailure:
    with pytest.raises(EncoderFailure) as caught:
        process.call({"command": "images"}, timeout_s=timeout_s)
    return caught.value


def test_calls_are_answered(start: Start) -> None:
    process = start(ECHO)
    payload = bytes(range(256)) * 10_000
    for number in range(3):
        answer = process.call({"command": "echo", "n": number}, payload, timeout_s=LIMIT_S)
        assert (answer.header["n"], answer.payload) == (number, payload)
    assert process.alive


def test_a_call_that_overruns_ends_the_process_and_says_so(start: Start) -> None:
    process = start(HANG)
    error = call(process, timeout_s=0.2)
    assert "overran 0.2 s" in error.message
    assert error.details["kind"] == "overrun"
    assert not process.alive


def test_a_child_that_does_not_read_overruns_too(start: Start) -> None:
    process = start(HANG)
    with pytest.raises(EncoderFailure, match="overran"):
        process.call({"command": "images"}, bytes(8_000_000), timeout_s=0.2)


def test_a_death_comes_with_its_status_and_its_last_words(start: Start) -> None:
    program = (
        "read_frame(stdin)\nfor n in range(50_000): sys.stderr.write(f'line {n}\\n')\nsys.stderr.flush()\nos._exit(7)"
    )
    error = call(start(program))
    assert "exit status 7" in error.message
    assert error.details["exit_status"] == 7
    assert "line 49999" in error.message
    assert len(error.message) < 10_000


def test_a_kill_from_outside_is_a_death(start: Start) -> None:
    process = start(ECHO)
    process.call({"command": "echo"}, timeout_s=LIMIT_S)
    psutil.Process(process.pid).kill()
    assert call(process).details["kind"] == "died"


def test_garbage_on_stdout_ends_the_process(start: Start) -> None:
    process = start("print('Downloading weights: 10 %', flush=True)\n" + ECHO)
    error = call(process)
    assert error.details["kind"] == "garbage"
    assert "Down" in error.message
    assert not process.alive


def test_an_error_frame_is_an_error_and_no_death(start: Start) -> None:
    process = start(
        "read_frame(stdin); answer({'error': {'kind': 'out_of_memory', 'text': 'CUDA out of memory'}})\n"
        "read_frame(stdin); answer({'error': {'kind': 'unavailable', 'text': 'no weights'}})\n" + ECHO
    )
    error = call(process)
    assert (error.details["kind"], process.alive) == ("out_of_memory", True)
    with pytest.raises(ClipUnavailable, match="no weights"):
        process.call({"command": "load"}, timeout_s=LIMIT_S)
    assert process.call({"command": "echo"}, timeout_s=LIMIT_S).header == {"command": "echo"}


def test_an_end_from_another_thread_breaks_off_a_call(start: Start) -> None:
    process = start("frame = read_frame(stdin)\nsys.stderr.write('working')\nsys.stderr.flush()\n" + HANG)
    errors: list[EncoderFailure] = []
    caller = threading.Thread(target=lambda: errors.append(call(process)))
    caller.start()
    process.end()
    process.end()
    caller.join(LIMIT_S)
    assert len(errors) == 1
    assert call(process).details["kind"] == "ended"


@pytest.mark.parametrize("by", ["a limit", "an end"])
def test_a_pipe_that_somebody_else_holds_open_blocks_nothing(start: Start, by: str) -> None:
    process = start(HELD)
    holder = psutil.Process(process.call({"command": "pid"}, timeout_s=LIMIT_S).header["pid"])
    try:
        errors: list[EncoderFailure] = []
        timeout_s = 0.2 if by == "a limit" else 10 * LIMIT_S
        caller = threading.Thread(target=lambda: errors.append(call(process, timeout_s)), daemon=True)
        ender = threading.Thread(target=process.end, daemon=True)
        caller.start()
        if by == "an end":
            ender.start()
            ender.join(LIMIT_S)
        caller.join(LIMIT_S)
        assert holder.is_running()
        assert not ender.is_alive()
        assert [error.details["kind"] for error in errors] == ["overrun" if by == "a limit" else "ended"]
        assert not process.alive
    finally:
        holder.kill()


def test_a_program_that_is_not_there_is_an_encoder_failure() -> None:
    with pytest.raises(EncoderFailure, match="cannot be started"):
        EncoderProcess(["/no/such/program"])
