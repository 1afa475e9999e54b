"""Ends a worker whose threads cannot run any more, and leaves its successor the traceback."""

import contextlib
import faulthandler
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from singletrack_tasks.keys import LEASE_TTL_S
from singletrack_worker.gpu.kept_thread import KeptThread, Troubles

# So much processor time without a thread of the worker's own is none that something else took: a machine under load
# and a process that is stopped do not use it up.
FROZEN_CPU_S = LEASE_TTL_S + 5.0
# Something that keeps every thread from running without using the processor ends by the clock. A stopped process that
# goes on cannot be told from it: such an end says nothing about the job.
STUCK_S = 120.0
PULSE_EVERY_S = 1.0
_HEADER = re.compile(r"token (\d+), process (\d+)\n")
_BY_THE_CLOCK = "Timeout ("
_STDERR = 2
_log = logging.getLogger(__name__)


class Watchdog:
    """Has the kernel end this process with a traceback, unless a thread of its own puts that off once a second.

    The time is the process's own processor time, so that it stands still while the process is stopped. Needs no
    Python to act: a loop in C that never gives the threads their turn is ended as well.
    """

    def __init__(self, lock: Path, token: Callable[[], int], troubles: Troubles) -> None:
        """`token` is the one under which the worker serves now; the traceback will lie beside its lock."""
        self._path = _watched(lock)
        self._token = token
        self._noted = -1
        self._file: int | None = None
        self._stopped = threading.Event()
        self._thread = KeptThread("watchdog", self._pulse, troubles)

    def start(self) -> None:
        """Start watching; without a place for the traceback it goes to stderr, and the successor learns nothing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._file = os.open(self._path, flags, 0o644)
        except OSError as error:
            _log.warning("a traceback of this worker would not be kept at %s: %s", self._path, error.strerror)
        if sys.platform != "win32":
            # Whatever the signal did before, it does after the traceback: it ends the process.
            faulthandler.register(signal.SIGPROF, file=self._target, all_threads=True, chain=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, and leave nothing behind; harmless when repeated."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.end()
        faulthandler.cancel_dump_traceback_later()
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.unregister(signal.SIGPROF)
        if self._file is not None:
            os.close(self._file)
            with contextlib.suppress(OSError):
                self._path.unlink()

    @property
    def _target(self) -> int:
        return _STDERR if self._file is None else self._file

    def _pulse(self) -> bool:
        """Put the end off; returns whether to go on."""
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, FROZEN_CPU_S)
        faulthandler.dump_traceback_later(STUCK_S, exit=True, file=self._target)
        token = self._token()
        if self._file is not None and token != self._noted:
            os.ftruncate(self._file, 0)
            os.write(self._file, f"token {token}, process {os.getpid()}\n".encode())
            self._noted = token
        return not self._stopped.wait(PULSE_EVERY_S)


@dataclass(frozen=True)
class Freeze:
    """A worker of this lock that its watchdog ended: under which token it served, and where its traceback is.

    `certain` if its threads could not run for so long, and it was not only stopped meanwhile.
    """

    token: int
    pid: int
    traceback: Path
    certain: bool

    @classmethod
    def find(cls, lock: Path) -> "Freeze | None":
        """Find what the last owner of a lock left, None if its watchdog did not end it; the lock must be held."""
        try:
            text = _watched(lock).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        header = _HEADER.match(text)
        told = text[header.end() :].strip() if header else ""
        if header is None or not told:
            return None
        kept = lock.with_suffix(".traceback")
        return cls(int(header[1]), int(header[2]), kept, certain=not told.startswith(_BY_THE_CLOCK))

    @property
    def why(self) -> str:
        """Say what the job did whose worker it was."""
        return (
            f"froze its worker (process {self.pid}): for {FROZEN_CPU_S:.0f} s of processor time none of its threads "
            f"could run. The traceback is in {self.traceback} on that host"
        )

    def put_away(self, lock: Path) -> None:
        """Keep the traceback under its name, where the next one replaces it, so that it is not found again."""
        try:
            _watched(lock).replace(self.traceback)
        except OSError as error:
            _log.warning("could not keep the traceback of a frozen worker: %s", error.strerror)


def _watched(lock: Path) -> Path:
    return lock.with_suffix(".watch")
