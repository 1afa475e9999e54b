"""The reasons for degraded mode, which appear, and clear themselves once they no longer apply."""

import threading
from collections.abc import Callable

from singletrack_tasks.result import Degradation, DegradedCode


class Reasons:
    """The current reasons, at most one per code; `on_change` is called when one appears (True) or clears (False)."""

    def __init__(self, time: Callable[[], float], on_change: Callable[[Degradation, bool], None]) -> None:
        self._time = time
        self._on_change = on_change
        self._reasons: dict[DegradedCode, Degradation] = {}
        # The thread that starts CLIP adds and clears reasons, too.
        self._lock = threading.Lock()

    def current(self) -> tuple[Degradation, ...]:
        """The current reasons, oldest first."""
        return tuple(self._reasons.values())

    def add(self, code: DegradedCode, message: str) -> None:
        """Add a reason; one that is current already keeps its time and takes the new text."""
        with self._lock:
            held = self._reasons.get(code)
            since = held.since_unix_s if held else self._time()
            reason = Degradation(code=code, message=message, since_unix_s=since)
            # A new dict, not a change in place: the status thread may be reading the old one.
            self._reasons = {**self._reasons, code: reason}
        if held is None:
            self._on_change(reason, True)

    def clear(self, *codes: DegradedCode) -> None:
        """Clear reasons; those that are not current are ignored."""
        for code in codes:
            with self._lock:
                held = self._reasons.get(code)
                self._reasons = {other: reason for other, reason in self._reasons.items() if other is not code}
            if held is not None:
                self._on_change(held, False)
