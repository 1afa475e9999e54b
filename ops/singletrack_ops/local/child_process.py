"""A process started here, together with everything that it starts in turn."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import psutil

from singletrack_ops.errors import OpsError

_KILL_WAIT_S = 10.0
_POLL_S = 0.01
_READY_POLL_S = 0.02
_TAIL_BYTES = 256 * 1024
_GUARD = Path(__file__).with_name("child_guard.py")


class Child:
    """One process in its own session and process group; stopping it leaves nothing of its tree alive.

    If this program dies without stopping it (`kill -9` included), a small guard process ends the group within a
    second or so on Linux and macOS. Out of the guard's reach are descendants that opened a session of their own, and
    everything on Windows, where only `stop` ends the tree.
    """

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], guard: subprocess.Popen[bytes] | None, log_path: Path
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process
        self._guard = guard
        self._lock = threading.Lock()
        self._ended = False

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log_path: Path,
    ) -> Self:
        """Start `argv`, both outputs appended to `log_path`; `env` replaces the whole environment.

        Raises `OpsError` if the program cannot be started.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            try:
                process = _spawn(argv, env, cwd, log)
            except OSError as error:
                raise OpsError(
                    f"{name} could not be started: {error}. Check that {argv[0]} exists and is executable."
                ) from error
        try:
            guard = _start_guard(process.pid)
        except OSError as error:
            cls(name, process, None, log_path).stop()
            raise OpsError(f"The guard of {name} could not be started: {error}. Free memory or processes.") from error
        return cls(name, process, guard, log_path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id, which on POSIX is its process group too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal as `subprocess` has it; None while it runs."""
        return self._process.poll()

    @property
    def alive(self) -> bool:
        """Whether the process itself still runs."""
        return self.returncode is None

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the process to end by itself; returns its exit status, None if it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_end(self) -> None:
        """Ask the process itself to end, but not its descendants, which it may need to finish its work.

        On Windows, where a process cannot be asked, it is killed.
        """
        if self.alive:
            self._process.terminate()

    def stop(self, grace_s: float = 10.0) -> None:
        """Ask the whole tree to end, and kill what is left after `grace_s`; may be repeated.

        Raises `OpsError` if something survives even a kill.
        """
        with self._lock:
            if self._ended:
                return
            if not self._guard_saw_the_end():
                self._end_tree(grace_s)
            self._dismiss_guard()
            self._ended = True

    def log_tail(self, lines: int = 20) -> str:
        """The last `lines` lines of its log, undecodable bytes replaced; empty if there is no log."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _end_tree(self, grace_s: float) -> None:
        others = self._others()
        self._signal_all(others, kill=False)
        survivors = self._wait_all(others, grace_s)
        survivors = list({*survivors, *self._others()})  # including what it started meanwhile
        if survivors or self.alive:
            self._signal_all(survivors, kill=True)
            self._require_gone(self._wait_all(survivors, _KILL_WAIT_S))

    def _others(self) -> list[psutil.Process]:
        """The running rest of its tree: its descendants and the members of its group, orphans included."""
        found = set(_descendants(self.pid))
        if sys.platform != "win32":
            found.update(process for process in psutil.process_iter() if _in_group(process, self.pid))
        return [process for process in found if process.pid != self.pid and _runs(process)]

    def _signal_all(self, others: Sequence[psutil.Process], *, kill: bool) -> None:
        # The group in one call, which also reaches a process that is just being forked. Nobody is asked twice, since
        # some programs drop everything at a second request.
        if sys.platform != "win32":
            _signal_group(self.pid, signal.SIGKILL if kill else signal.SIGTERM)
        elif self.alive:
            self._process.kill() if kill else self._process.terminate()
        for process in others:
            if _in_group(process, self.pid):
                continue
            try:
                process.kill() if kill else process.terminate()
            except psutil.NoSuchProcess:
                continue  # it has ended, as wanted

    def _wait_all(self, others: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
        """Wait for the process and for `others`; returns those of `others` that still run after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        # Through `subprocess`: psutil would consume the exit status.
        self.wait(timeout_s)
        # Not `psutil.wait_procs`: it waits until an ended orphan is collected, which init may do late or never.
        while (running := [process for process in others if _runs(process)]) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return running

    def _require_gone(self, survivors: Sequence[psutil.Process]) -> None:
        pids = [process.pid for process in survivors] + ([self.pid] if self.alive else [])
        if pids:
            raise OpsError(f"{self.name}: processes {pids} survived a kill. End them by hand; see {self.log_path}.")

    def _guard_saw_the_end(self) -> bool:
        # From then on the system may reuse the number, so it must not be signalled any more.
        return not self.alive and self._guard is not None and self._guard.poll() == 0

    def _dismiss_guard(self) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        self._guard.kill()
        self._guard.wait(_KILL_WAIT_S)
        self._guard.stdin.close()


@contextmanager
def ended_on_error(child: Child) -> Iterator[None]:
    """Stop the child if the block fails or is interrupted: nothing half started may stay."""
    try:
        yield
    except BaseException:
        child.stop()
        raise


def wait_until_ready(child: Child, ready: Callable[[], bool], timeout_s: float) -> None:
    """Wait until `ready()`; raises `OpsError` with the end of the log if the child ends or takes too long."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if not child.alive:
            happened = f"ended at once with status {child.returncode}"
        elif time.monotonic() > deadline:
            happened = f"did not answer within {timeout_s:.0f} s"
        else:
            time.sleep(_READY_POLL_S)
            continue
        raise OpsError(f"{child.name} {happened}; {child.log_path} says:\n{child.log_tail()}")


def _spawn(
    argv: Sequence[str | Path], env: Mapping[str, str] | None, cwd: Path | None, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    if sys.platform == "win32":
        flags, session = subprocess.CREATE_NEW_PROCESS_GROUP, False
    else:
        flags, session = 0, True
    return subprocess.Popen(
        [str(part) for part in argv],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=session,
        creationflags=flags,
    )


def _start_guard(group: int) -> subprocess.Popen[bytes] | None:
    if sys.platform == "win32":
        return None
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_GUARD), str(group)],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _signal_group(group: int, number: int) -> None:
    if sys.platform == "win32":
        raise AssertionError("there are no process groups to signal on Windows")
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # nobody is left
    except PermissionError:
        return  # macOS answers so for a group of which only zombies are left


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _in_group(process: psutil.Process, group: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        return os.getpgid(process.pid) == group
    except (ProcessLookupError, PermissionError):
        return False  # gone meanwhile, or another user's


def _runs(process: psutil.Process) -> bool:
    """Whether it really runs: an ended orphan stays listed until it is collected, in some containers for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
