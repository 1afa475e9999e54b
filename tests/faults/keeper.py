"""Keeps one process running, as a service manager does, and notes its lives in the history."""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable

from singletrack_ops.local.child_process import Child
from tests.faults.history import Died, Journal, Paused, Ready, Resumed, now_ns

_LOOK_MS = 200
_END_S = 10.0
# A process that ends at once is started again not faster than this.
_LEAST_LIFE_S = 0.5


class Keeper:
    """Starts a process again whenever it has ended, until told otherwise."""

    def __init__(self, host: str, start: Callable[[int], Child], journal: Journal) -> None:
        self.host = host
        self.children: list[Child] = []
        self._start = start
        self._journal = journal
        self._goes_on = True
        self._born = threading.Condition()
        self._lives = 0
        self._thread = threading.Thread(target=self._run, name=f"keeper {host}", daemon=True)
        self._thread.start()
        self.wait_for_life(1)

    @property
    def child(self) -> Child:
        """The process that runs, or ran last."""
        return self.children[-1]

    @property
    def pid(self) -> int:
        """Its id."""
        return self.child.pid

    @property
    def lives(self) -> int:
        """How often it was started."""
        return self._lives

    def status_of(self, pid: int) -> int | None:
        """The exit status of one of its lives, None while that goes on."""
        return next((child.wait(0) for child in self.children if child.pid == pid), None)

    def wait_for_life(self, number: int, limit_s: float = 20) -> None:
        """Wait until it was started that often."""
        with self._born:
            assert self._born.wait_for(lambda: self._lives >= number, limit_s), "the process was not started again"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it and wait until it is gone; it is started again."""
        child = self.child
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        child.wait(_END_S)

    def pause(self) -> int:
        """Stop it, and return its id."""
        pid = self.pid
        self._journal.note(Paused(now_ns(), pid))
        self.signal(signal.SIGSTOP)
        return pid

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)
        self._journal.note(Resumed(now_ns(), self.pid))

    def retire(self) -> None:
        """Do not start it again."""
        self._goes_on = False

    def end(self, limit_s: float) -> int | None:
        """Ask it to end for good; its exit status, None if it had to be killed."""
        self.retire()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        status = self.child.wait(limit_s)
        if status is None:
            self.kill()
        self._thread.join(_END_S)
        return status

    def stop(self) -> None:
        """End everything that was started, and what that has left; harmless when repeated."""
        self.retire()
        self.signal(signal.SIGKILL)
        self._thread.join(_END_S)
        for child in self.children:
            child.stop(0)

    def _run(self) -> None:
        while self._goes_on:
            started_s = time.monotonic()
            child = self._start(len(self.children))
            self._journal.note(Ready(now_ns(), child.pid, self.host))
            with self._born:
                self.children.append(child)
                self._lives += 1
                self._born.notify_all()
            _wait_for_the_end(child.pid)
            at_ns = now_ns()
            self._journal.note(Died(at_ns, child.pid, child.wait(_END_S) or 0))
            if self._goes_on and time.monotonic() - started_s < _LEAST_LIFE_S:
                time.sleep(_LEAST_LIFE_S)


def _wait_for_the_end(pid: int) -> None:
    """Wait for the end of a process of ours without collecting it: at once, and not at the next look."""
    with contextlib.suppress(ProcessLookupError):
        file = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(file, select.POLLIN)
            while not poll.poll(_LOOK_MS):
                pass
        finally:
            os.close(file)
