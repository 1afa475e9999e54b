"""Runs in the worker: the judge, who reads answers in a child process that can be ended."""

import json
import os
import threading
from collections.abc import Sequence
from typing import Any

from singletrack_tasks.errors import InvalidSchema, JobCancelled, WorkerFailure
from singletrack_tasks.schema import JsonSchema
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.child.frames import Frame
from singletrack_worker.gpu.child.process import ChildFailure, ChildProcess, command_of

COMMAND = command_of("singletrack_worker.gpu.judging.program")
START_TIMEOUT_S = 60.0
# A schema within its budget takes some milliseconds.
READ_TIMEOUT_S = 10.0

# For a child that the worker, which would have ended it, did not outlive.
_WATCHDOG_S = 5.0
# An answer may meet a child that is just being ended for the one before it.
_ATTEMPTS = 2
_GONE = ("ended", "died")
# What runs callers' schemas needs to know nothing of this worker.
_OURS = ("SINGLETRACK_", "CELERY_", "FLOWER_")


class JudgeProcess:
    """Starts the child with the first answer, keeps it, and ends it if it overruns `read_timeout_s` (seconds)."""

    def __init__(self, command: Sequence[str] = COMMAND, *, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        self._command = command
        self._read_timeout_s = read_timeout_s
        # Held to start the child: `stop` either sees it or keeps it from being started.
        self._starting = threading.Lock()
        self._child: ChildProcess | None = None
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """The process id of the child, None while there is none."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    def read(self, text: str, schema: JsonSchema, cancellation: Cancellation) -> Any:
        """Read an answer, as `Judge.read` does."""
        answer = self._ask(json.dumps({"text": text, "schema": schema}).encode(), cancellation)
        if "misfit" in answer.header:
            raise ValueError(answer.header["misfit"])
        return json.loads(answer.payload)

    def stop(self) -> None:
        """End the child, breaking off what it reads, and start none any more; harmless when repeated."""
        with self._starting:
            self._stopped = True
            child = self._child
        if child is not None:
            child.end()

    def _ask(self, payload: bytes, cancellation: Cancellation) -> Frame:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._ask_once(payload, cancellation)
            except ChildFailure as error:
                if cancellation.cancelled or self._stopped:
                    raise JobCancelled("the job was cancelled while its answer was checked") from error
                if error.kind not in _GONE or attempt == _ATTEMPTS:
                    raise self._explain(error) from error
        raise AssertionError

    def _ask_once(self, payload: bytes, cancellation: Cancellation) -> Frame:
        child = self._running_child()
        cancellation.on_cancel(child.end)
        try:
            child.call({"command": "ready"}, timeout_s=START_TIMEOUT_S)
            header = {"command": "read", "within_s": self._read_timeout_s + _WATCHDOG_S}
            return child.call(header, payload, timeout_s=self._read_timeout_s)
        finally:
            cancellation.on_cancel(None)

    def _running_child(self) -> ChildProcess:
        with self._starting:
            if self._stopped:
                raise ChildFailure("the judge has been stopped", "ended")
            if self._child is None or not self._child.alive:
                environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
                self._child = ChildProcess("judge", self._command, environment)
            return self._child

    def _explain(self, error: ChildFailure) -> InvalidSchema | WorkerFailure:
        """Say what went wrong; never in the words of the child's stderr, which may quote an answer."""
        figures: dict[str, Any] = {
            name: error.details[name] for name in ("kind", "exit_status") if name in error.details
        }
        if error.kind == "schema":
            return InvalidSchema(error.said)
        if error.kind == "memory":
            return InvalidSchema("this schema costs too much memory when an answer is checked against it", figures)
        if error.details.get("command") == "read" and error.kind in ("overrun", "died"):
            what = f"took more than {self._read_timeout_s:g} s" if error.kind == "overrun" else "ended the process"
            return InvalidSchema(
                f"this schema costs too much: checking an answer against it {what}. Use simpler patterns, or fewer "
                "references and alternatives.",
                figures,
            )
        return WorkerFailure(f"the answer could not be checked against its schema ({error.kind})", figures)
