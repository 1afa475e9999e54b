"""The worker's side of one encoder process: calls over its pipes, a limit for each, and a certain end."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, BinaryIO, cast

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure
from singletrack_worker.gpu.frames import Frame, read_frame, write_frame

# -P keeps the current folder off the import path: a `torch.py` that lies there must not be taken for torch.
COMMAND = (sys.executable, "-P", "-m", "singletrack_worker.gpu.clip_encoder")

_TAIL_BYTES = 8 * 1024
_TAIL_LINES = 12
_TAIL_WAIT_S = 2.0
# A process closes its pipes a moment before its exit status is there.
_DYING_S = 1.0
_END_WAIT_S = 30.0

_log = logging.getLogger(__name__)


class EncoderProcess:
    """A child process that answers frames, one call at a time.

    A call that fails in any way but an error frame leaves the process dead: what comes next on its pipes
    could belong to anything. `end` may be called from any thread, also during a call.
    """

    def __init__(self, command: Sequence[str] = COMMAND, environment: Mapping[str, str] | None = None) -> None:
        self._calling = threading.Lock()
        self._ended = False
        self._process = _spawn(command, environment)
        self._stdin = cast("BinaryIO", self._process.stdin)
        self._stdout = cast("BinaryIO", self._process.stdout)
        self._tail = _Tail(cast("IO[bytes]", self._process.stderr))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs, as the operating system tells it now."""
        return self._process.poll() is None

    def call(self, header: Mapping[str, Any], payload: bytes = b"", *, timeout_s: float) -> Frame:
        """Send a frame and return the answer.

        Raises `EncoderFailure` if the process dies, overruns `timeout_s` (it is killed then) or answers with an
        error (`details["kind"]` is then the child's; `out_of_memory` for one), and `ClipUnavailable` if it
        answers that its weights cannot be had.
        """
        with self._calling:
            if self._ended:
                raise EncoderFailure(f"the encoder process {self.pid} was ended", {"kind": "ended"})
            overrun = threading.Event()
            timer = threading.Timer(timeout_s, self._end_overrun, [overrun])
            timer.daemon = True
            timer.start()
            try:
                write_frame(self._stdin, header, payload)
                answer = read_frame(self._stdout)
            except EncoderFailure as error:
                raise self._explain(error, str(header.get("command")), timeout_s, overrun) from error
            finally:
                timer.cancel()
        return _checked(answer)

    def end(self) -> None:
        """Kill the process and wait until it is gone; harmless when repeated."""
        self._ended = True
        self._process.kill()
        if self._wait(_END_WAIT_S) is None:
            # Only a driver that hangs keeps a killed process: no call from here can change that.
            _log.error("the encoder process %d is still there %.0f s after it was killed", self.pid, _END_WAIT_S)
            return
        with self._calling:
            self._close_pipes()

    def _end_overrun(self, overrun: threading.Event) -> None:
        overrun.set()
        self._process.kill()

    def _explain(self, error: EncoderFailure, command: str, timeout_s: float, overrun: threading.Event) -> Exception:
        status = self._wait(_DYING_S)
        died = status is not None
        if not died:
            self._process.kill()
            status = self._wait(_END_WAIT_S)
        if overrun.is_set():
            kind, what = "overrun", f"overran {timeout_s:g} s and was ended"
        elif died:
            kind, what = "died", f"ended with exit status {status}"
        else:
            kind, what = "garbage", f"broke the protocol and was ended: {error.message}"
        return EncoderFailure(
            f"the encoder process {self.pid} {what} (during '{command}'). {self._tail.words()}",
            {"kind": kind, "exit_status": status, "command": command},
        )

    def _wait(self, timeout_s: float) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _close_pipes(self) -> None:
        # Closing flushes; what was still on its way to a dead process is lost, as it should be.
        with suppress(OSError):
            self._stdin.close()
        self._stdout.close()
        self._tail.close()


class _Tail:
    """The end of what a process writes to stderr, drained so that the process never waits for a reader."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data = b""
        self._thread = threading.Thread(target=self._drain, name="encoder-stderr", daemon=True)
        self._thread.start()

    def words(self) -> str:
        """Return the last lines, when the process has ended."""
        self._thread.join(_TAIL_WAIT_S)
        lines = self._data.decode("utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        return "Its last words:\n" + "\n".join(lines) if lines else "It said nothing."

    def close(self) -> None:
        """Let go of the pipe."""
        self._thread.join(_TAIL_WAIT_S)
        if not self._thread.is_alive():
            self._stream.close()

    def _drain(self) -> None:
        descriptor = self._stream.fileno()
        while chunk := os.read(descriptor, _TAIL_BYTES):
            self._data = (self._data + chunk)[-_TAIL_BYTES:]


def _spawn(command: Sequence[str], environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    # Without it a worker that runs as a Windows service or without a console would open a window for each encoder.
    flags = 0
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
        raise EncoderFailure(f"the encoder process cannot be started: {error}", {"kind": "not_started"}) from error


def _checked(answer: Frame) -> Frame:
    error = answer.header.get("error")
    if error is None:
        return answer
    kind, text = str(error.get("kind")), str(error.get("text"))
    if kind == "unavailable":
        raise ClipUnavailable(text)
    raise EncoderFailure(f"the encoder failed: {text}", {"kind": kind})
