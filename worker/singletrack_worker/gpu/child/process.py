"""Runs in the worker: starts a child process, calls it over pipes with a time-out for each call, and is sure to end it.

Whoever makes the calls knows what they mean; `program.py` has what the programs that answer them have in common.
"""

import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, BinaryIO, cast

from singletrack_worker.gpu.child.frames import BrokenFrame, Frame, read_frame, write_frame

_TAIL_BYTES = 8 * 1024
_TAIL_LINES = 12
_TAIL_WAIT_S = 2.0
# A process closes its pipes a moment before its exit status is there.
_DYING_S = 1.0
_END_WAIT_S = 30.0

_log = logging.getLogger(__name__)


def command_of(module: str) -> tuple[str, ...]:
    """Return the command line that runs a module of ours as a child."""
    # -P keeps the current folder off the import path: a `torch.py` that lies there must not be taken for torch.
    return (sys.executable, "-P", "-m", module)


class ChildFailure(Exception):
    """A call that was not answered, or answered with an error; `kind` says why.

    Kinds: `not_started`, `ended`, `overrun`, `died`, `garbage` (the child broke the protocol), or what the child says
    itself, such as `out_of_memory`. `details` has the kind and other figures, `said` the child's own words.
    """

    def __init__(self, message: str, kind: str, *, said: str = "", **figures: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.said = said
        self.details: dict[str, Any] = {"kind": kind, **figures}


class ChildProcess:
    """A child process that answers frames, one call at a time; `name` is what messages call it.

    A call that fails other than by an error frame ends the process: what comes next on its pipes could belong to
    anything. `end` may be called from any thread, even during a call. Neither waits for ever for a process that a
    hung driver keeps after it was killed, nor for a pipe that another process holds open.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._name = name
        self._calling = threading.Lock()
        self._ended = False
        self._process = _spawn(name, command, environment)
        stdin, stdout = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        self._pipes = _Pipes(name, stdin, stdout)
        self._tail = _Tail(name, cast("IO[bytes]", self._process.stderr))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs, by what the operating system says now; one that was ended is never used again."""
        return not self._ended and self._process.poll() is None

    def call(self, header: Mapping[str, Any], payload: bytes = b"", *, timeout_s: float) -> Frame:
        """Send a frame and return the answer.

        Raises `ChildFailure` if the process dies, is ended, overruns `timeout_s` (it is killed then) or answers with an
        error.
        """
        with self._calling:
            if self._ended:
                raise ChildFailure(f"the {self._name} process {self.pid} was ended", "ended")
            try:
                answer = self._pipes.exchange(Frame(dict(header), payload), timeout_s)
            except (BrokenFrame, queue.Empty) as error:
                raise self._explain(error, str(header.get("command")), timeout_s) from error
        return self._checked(answer)

    def end(self) -> None:
        """Kill the process and wait until it is gone; harmless when repeated."""
        self._ended = True
        self._process.kill()
        self._pipes.close()
        if self._wait(_END_WAIT_S) is None:
            # Only a hung driver keeps a killed process, and nothing here can change that.
            what = "the %s process %d is still there %.0f s after it was killed"
            _log.error(what, self._name, self.pid, _END_WAIT_S)
        self._tail.close()

    def _explain(self, error: BrokenFrame | queue.Empty, command: str, timeout_s: float) -> ChildFailure:
        """End the process, and say why."""
        ended, overran = self._ended, isinstance(error, queue.Empty)
        died = not overran and self._wait(_DYING_S) is not None
        self.end()
        status = self._process.poll()
        if ended:
            kind, what = "ended", "was ended"
        elif overran:
            kind, what = "overrun", f"overran {timeout_s:g} s and was ended"
        elif died:
            kind, what = "died", f"ended with exit status {status}"
        else:
            kind, what = "garbage", f"broke the protocol and was ended: {error}"
        return ChildFailure(
            f"the {self._name} process {self.pid} {what} (during '{command}'). {self._tail.words()}",
            kind,
            exit_status=status,
            command=command,
        )

    def _checked(self, answer: Frame) -> Frame:
        error = answer.header.get("error")
        if error is None:
            return answer
        kind, said = str(error.get("kind")), str(error.get("text"))
        raise ChildFailure(f"the {self._name} failed: {said}", kind, said=said)

    def _wait(self, timeout_s: float) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None


class _Pipes:
    """The pipes for frames, used by a thread of their own.

    Nothing ends a read or a write that blocks while another process holds the other end open, neither closing the
    pipe nor killing the child: all that is left is to abandon the thread.
    """

    def __init__(self, name: str, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._requests: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Frame | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=f"{name}-frames", daemon=True).start()

    def exchange(self, request: Frame, timeout_s: float) -> Frame:
        """Send a frame and return the next one; raises `BrokenFrame`, and `queue.Empty` after `timeout_s`.

        After an error there must be no other exchange: it could get the answer to this one.
        """
        self._requests.put(request)
        outcome = self._outcomes.get(timeout=timeout_s)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """Break off an exchange at once, and close the pipes as soon as they let go; harmless when repeated."""
        self._outcomes.put(BrokenFrame("the exchange was broken off"))
        self._requests.put(None)

    def _run(self) -> None:
        while self._exchange_next():
            pass
        # Closing flushes; what was still on its way to a dead process is lost, as it should be.
        with suppress(OSError):
            self._stdin.close()
        self._stdout.close()

    def _exchange_next(self) -> bool:
        # A function of its own, so that no request or answer of many MB is held until the next one comes.
        request = self._requests.get()
        if request is None:
            return False
        try:
            write_frame(self._stdin, request.header, request.payload)
            self._outcomes.put(read_frame(self._stdout))
        # Whatever went wrong is for the caller to know, who would otherwise wait in vain.
        except Exception as error:
            self._outcomes.put(error)
        return True


class _Tail:
    """The last of what a process writes to stderr, drained so that the process never waits for a reader."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data = b""
        self._thread = threading.Thread(target=self._drain, name=f"{name}-stderr", daemon=True)
        self._thread.start()

    def words(self) -> str:
        """Return the last lines for a message, once the process has ended."""
        self._thread.join(_TAIL_WAIT_S)
        lines = self._data.decode("utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        return "The end of its stderr:\n" + "\n".join(lines) if lines else "Its stderr is empty."

    def close(self) -> None:
        """Let go of the pipe."""
        self._thread.join(_TAIL_WAIT_S)
        if not self._thread.is_alive():
            self._stream.close()

    def _drain(self) -> None:
        descriptor = self._stream.fileno()
        while chunk := os.read(descriptor, _TAIL_BYTES):
            self._data = (self._data + chunk)[-_TAIL_BYTES:]


def _spawn(name: str, command: Sequence[str], environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    flags = 0
    # Without it a worker that runs as a Windows service or without a console would open a window for each child.
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW
    try:
        return subprocess.Popen(
            list(command),
            env=None if environment is None else dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=flags,
        )
    except OSError as error:
        raise ChildFailure(f"the {name} process cannot be started: {error}", "not_started") from error
