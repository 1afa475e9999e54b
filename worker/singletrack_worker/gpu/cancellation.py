"""Breaks off one operation from another thread."""

import threading
from collections.abc import Callable

from singletrack_tasks.errors import JobCancelled


class Cancellation:
    """Breaks off one operation from another thread; an operation that waits registers how to wake it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._wake: Callable[[], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the operation was cancelled."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise `JobCancelled` if the operation was cancelled."""
        if self.cancelled:
            raise JobCancelled("the job was cancelled")

    def cancel(self) -> None:
        """Cancel the operation; safe from any thread, and more than once."""
        with self._lock:
            self._cancelled.set()
            wake = self._wake
        if wake is not None:
            wake()

    def on_cancel(self, wake: Callable[[], None] | None) -> None:
        """Register a callback that wakes the operation, or None to remove it; called at once if already cancelled."""
        with self._lock:
            self._wake = wake
            cancelled = self._cancelled.is_set()
        if cancelled and wake is not None:
            wake()
