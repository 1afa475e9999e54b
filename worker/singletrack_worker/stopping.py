"""The end of a worker: the operation in flight may finish within a time limit; after that it is put back."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

_log = logging.getLogger(__name__)

# How long an operation that was broken off may take to end.
LAST_S = 5.0


class Operations(Protocol):
    """Whoever runs the operation in flight."""

    def break_off(self) -> None:
        """End the operation in flight with an error."""


class Stopping:
    """Waits for the operation in flight, and breaks it off when its time is up or when told to hurry.

    `give_back` makes an operation that is broken off go back on the queue instead of failing. If it does not end even
    then, `abandon` puts it back and frees what the worker holds, and the process exits with whatever still runs in it.
    """

    def __init__(
        self, grace_s: float, operations: Operations, give_back: Callable[[], None], abandon: Callable[[], None]
    ) -> None:
        self._grace_s = grace_s
        self._operations = operations
        self._give_back = give_back
        self._abandon = abandon
        self._begun = threading.Event()
        self._hurry = threading.Event()
        self._over = threading.Event()
        self._status = 0

    def begin(self, status: int = 0) -> None:
        """Start the clock; harmless when repeated. `status` is for a process that has to be left in the end."""
        if not self._begun.is_set():
            self._status = status
            self._begun.set()
            threading.Thread(target=self._run, name="stopping", daemon=True).start()

    def hurry(self) -> None:
        """Break off the operation now."""
        self._hurry.set()

    def over(self) -> None:
        """Note that the pool has ended and nothing is in flight any more."""
        self._over.set()
        self._hurry.set()

    def hear_signals(self) -> None:
        """Make the first signal to end call `begin`, and later ones `hurry`; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        ends = signal.getsignal(signal.SIGTERM)
        numbers = [signal.SIGTERM, signal.SIGINT]
        if sys.platform != "win32":
            numbers.append(signal.SIGQUIT)

        def heard(number: int, frame: FrameType | None) -> None:
            if self._begun.is_set():
                self.hurry()
                return
            self.begin()
            # Celery's warm shutdown, whatever the signal: its other ways to end drop the running task.
            if callable(ends):
                ends(number, frame)

        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, heard)

    def _run(self) -> None:
        self._hurry.wait(self._grace_s)
        if self._over.is_set():
            return
        _log.warning("the worker is ending: the operation in flight is broken off and put back")
        self._attempt(self._give_back)
        self._attempt(self._operations.break_off)
        if self._over.wait(LAST_S):
            return
        _log.error("the operation in flight does not end: the process exits without it")
        self._attempt(self._abandon)
        self._attempt(logging.shutdown)
        os._exit(self._status)

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            # The process must end all the same.
            _log.exception("could not break off the operation in flight")
