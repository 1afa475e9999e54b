"""The end of a worker: the operation in flight may finish, within a limit; then it is put back."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

_log = logging.getLogger(__name__)

# How long what was broken off may take to let go.
LAST_S = 5.0


class Operations(Protocol):
    """What is broken off at the end."""

    def break_off(self) -> None:
        """End the operation in flight with an error."""


class Stopping:
    """Waits for the operation in flight, breaks it off when its time is up or when told to hurry, and sees it end.

    `give_back` has what is broken off put back instead of failed; `abandon` puts back what does not let go either, and
    frees what the worker holds: the process ends then, whatever still runs in it.
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

    def begin(self) -> None:
        """Start the clock; harmless when repeated."""
        if not self._begun.is_set():
            self._begun.set()
            threading.Thread(target=self._run, name="stopping", daemon=True).start()

    def hurry(self) -> None:
        """Break off now."""
        self._hurry.set()

    def over(self) -> None:
        """The pool has ended: nothing is in flight any more."""
        self._over.set()
        self._hurry.set()

    def hear_signals(self) -> None:
        """Have the first signal to end begin, and each one after it hurry; does nothing but in the main thread."""
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
            # Celery's own way to end in good order, for every signal: its others drop what runs.
            if callable(ends):
                ends(number, frame)

        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, heard)

    def _run(self) -> None:
        self._hurry.wait(self._grace_s)
        if self._over.is_set():
            return
        _log.warning("the operation in flight is broken off and put back: the worker ends")
        self._give_back()
        try:
            self._operations.break_off()
        except Exception:
            # The process has to end all the same.
            _log.exception("the operation in flight was not broken off")
        if self._over.wait(LAST_S):
            return
        _log.error("the operation in flight does not let go: the process ends without it")
        self._abandon()
        logging.shutdown()
        os._exit(os.EX_OK if sys.platform != "win32" else 0)
