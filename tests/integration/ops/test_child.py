"""A child's whole tree ends with it, and with us."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from singletrack_ops.errors import OpsError
from singletrack_ops.local.child_process import Child
from tests.integration.ops.waiting import runs, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for a POSIX shell")

FAMILY = ["sh", "-c", "sleep 600 & echo $!; exec sleep 600"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def grandchild_pid(child: Child) -> int:
    wait_for(lambda: child.log_tail() != "", "the grandchild's pid in the log")
    return int(child.log_tail())


def test_stopping_ends_the_whole_tree_and_may_be_repeated(tmp_path: Path) -> None:
    child = Child.start("family", FAMILY, log_path=tmp_path / "log")
    grandchild = grandchild_pid(child)
    assert runs(child.pid)
    child.stop()
    assert not child.alive
    assert child.returncode == -signal.SIGTERM
    assert not runs(grandchild)
    child.stop()


def test_what_ignores_the_request_is_killed(tmp_path: Path) -> None:
    child = Child.start("stubborn", STUBBORN, log_path=tmp_path / "log")
    wait_for(lambda: child.log_tail() == "up", "the handler to be set")
    child.stop(grace_s=0.1)
    assert child.returncode == -signal.SIGKILL


def test_an_orphan_of_a_crashed_child_is_ended(tmp_path: Path) -> None:
    child = Child.start("family", FAMILY, log_path=tmp_path / "log")
    grandchild = grandchild_pid(child)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(timeout_s=10) == -signal.SIGKILL
    assert runs(grandchild)
    child.stop()
    assert not runs(grandchild)


def test_a_descendant_in_a_session_of_its_own_is_ended(tmp_path: Path) -> None:
    child = Child.start("escaped", ["sh", "-c", "setsid -w sleep 600; true"], log_path=tmp_path / "log")
    wait_for(lambda: len(psutil.Process(child.pid).children(recursive=True)) > 0, "the descendant")
    wait_for(lambda: any(os.getsid(p.pid) != child.pid for p in tree(child)), "its own session")
    descendants = tree(child)
    child.stop()
    assert not any(runs(process.pid) for process in descendants)


def tree(child: Child) -> list[psutil.Process]:
    return psutil.Process(child.pid).children(recursive=True)


def test_stopping_one_that_ended_by_itself_is_fine(tmp_path: Path) -> None:
    child = Child.start("short", ["sh", "-c", "exit 3"], log_path=tmp_path / "log")
    assert child.wait(timeout_s=10) == 3
    assert child.wait(timeout_s=0) == 3
    child.stop()
    assert child.returncode == 3


def test_waiting_for_one_that_runs_ends_in_time(tmp_path: Path) -> None:
    with Child.start("sleeper", ["sleep", "600"], log_path=tmp_path / "log") as child:
        assert child.wait(timeout_s=0.01) is None


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="no-such-program"):
        Child.start("nothing", [tmp_path / "no-such-program"], log_path=tmp_path / "log")


def test_the_log_has_both_outputs_and_is_added_to(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with Child.start("writer", ["sh", "-c", f"echo {text}; echo {text} >&2"], log_path=tmp_path / "log") as child:
            child.wait(timeout_s=10)
    assert child.log_tail() == "first\nfirst\nsecond\nsecond"
    assert child.log_tail(lines=1) == "second"


def test_it_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Child] = []
    thread = threading.Thread(
        target=lambda: started.append(Child.start("sleeper", ["sleep", "600"], log_path=tmp_path / "log"))
    )
    thread.start()
    thread.join()
    (child,) = started
    # A signal at the thread's end (Linux has such a setting) would have ended it within this time.
    assert child.wait(timeout_s=0.2) is None
    child.stop()


STARTER = """
import signal, sys
from pathlib import Path
from singletrack_ops.local.child_process import Child
child = Child.start("family", sys.argv[2:], log_path=Path(sys.argv[1]))
print(child.pid, flush=True)
signal.pause()
"""


def test_the_tree_ends_when_we_are_killed(tmp_path: Path) -> None:
    log_path = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(log_path), *FAMILY], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        wait_for(lambda: log_path.read_text() != "", "the grandchild's pid in the log")
        grandchild = int(log_path.read_text())
        assert runs(child)
        assert runs(grandchild)
        starter.kill()
    wait_for(lambda: not runs(child) and not runs(grandchild), "the guard to end the tree")
