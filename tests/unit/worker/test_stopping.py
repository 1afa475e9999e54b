"""The end of a worker: what is in flight may finish, is broken off when its time is up, and never keeps the process."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from singletrack_worker.stopping import Stopping
from tests.integration.ops.waiting import wait_for

PATIENCE_S = 30
HOPELESS = """
import sys, threading
from singletrack_worker import stopping
stopping.LAST_S = 0.1
class Deaf:
    def break_off(self): print("broken off", flush=True)
ends = stopping.Stopping(0.1, Deaf(), lambda: print("given back", flush=True), lambda: print("abandoned", flush=True))
ends.begin()
threading.Event().wait()
"""


class Operations:
    """What is in flight, and lets go as told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.lets_go: Callable[[], None] = lambda: None

    def break_off(self) -> None:
        self.told.append("break off")
        self.lets_go()


@pytest.fixture
def operations() -> Operations:
    return Operations()


def stopping(operations: Operations, grace_s: float) -> Stopping:
    told = operations.told
    made = Stopping(grace_s, operations, lambda: told.append("give back"), lambda: told.append("abandon"))
    operations.lets_go = made.over
    return made


def ended() -> bool:
    return not any(thread.name == "stopping" for thread in threading.enumerate())


def test_what_ends_in_time_is_left_alone(operations: Operations) -> None:
    ends = stopping(operations, 600)
    ends.begin()
    ends.begin()
    assert sum(thread.name == "stopping" for thread in threading.enumerate()) == 1
    ends.over()
    wait_for(ended, "nothing is waited for")
    assert operations.told == []


def test_what_does_not_end_in_time_is_told_to_be_put_back_and_then_broken_off(operations: Operations) -> None:
    stopping(operations, 0.01).begin()
    wait_for(ended, "it let go")
    assert operations.told == ["give back", "break off"]


def test_who_is_in_a_hurry_does_not_wait(operations: Operations) -> None:
    ends = stopping(operations, 600)
    ends.begin()
    ends.hurry()
    wait_for(ended, "it let go")
    assert operations.told == ["give back", "break off"]


def test_what_does_not_let_go_does_not_keep_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOPELESS], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0
    assert done.stdout.split("\n") == ["given back", "broken off", "abandoned", ""]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are raised as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_first_signal_is_celerys_and_the_second_is_for_those_in_a_hurry(
    operations: Operations, number: signal.Signals
) -> None:
    heard: list[int] = []
    earlier = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)}
    signal.signal(signal.SIGTERM, lambda one, _: heard.append(one))
    # A shell that runs the tests in its background has both of them ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    try:
        ends = stopping(operations, 600)
        ends.hear_signals()
        signal.raise_signal(number)
        assert heard == [number]
        assert operations.told == []
        signal.raise_signal(number)
        wait_for(ended, "it let go")
        assert heard == [number]
        assert operations.told == ["give back", "break off"]
    finally:
        for one, handler in earlier.items():
            signal.signal(one, handler)


def test_a_signal_that_is_ignored_stays_so(operations: Operations) -> None:
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    others = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGQUIT)}
    try:
        stopping(operations, 600).hear_signals()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, earlier)
        for one, handler in others.items():
            signal.signal(one, handler)
