"""What Ctrl-C does, other signals do too: they end a program, or stop what it does."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, do what Ctrl-C does."""
    with _handled(_endings(), _interrupt):
        yield


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Yield what Ctrl-C, SIGTERM, and the end of the terminal set; the second of them ends the program."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            _interrupt(number, frame)
        stop.set()

    with _handled([signal.SIGINT, *_endings()], handle):
        yield stop


@contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    earlier = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, before in earlier:
            signal.signal(number, before)


def _endings() -> list[signal.Signals]:
    return [signal.SIGTERM] if sys.platform == "win32" else [signal.SIGTERM, signal.SIGHUP]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
