"""What the driver sees of a run while it goes on: whether an operation is at work, and when the first one was done."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.history import Begin, Died, End, Tail

_LOOK_S = 0.002


class Watch:
    """Follows a run's history."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self._begun: dict[tuple[str, int], Begin] = {}
        self._done: list[tuple[int, int, str]] = []

    @property
    def busy(self) -> bool:
        """Whether an operation is at work."""
        self._look()
        return bool(self._begun)

    def done_since(self, at_ns: int, host: str | None = None) -> int | None:
        """When the first operation ended that began after that time, None if none has; older ones are forgotten."""
        self._look()
        self._done = [row for row in self._done if row[0] > at_ns]
        found = [ended for _, ended, where in self._done if host in (None, where)]
        return min(found, default=None)

    def works_at(self, job: str, host: str) -> bool:
        """Whether a job is at work on a host."""
        self._look()
        return any(begin.job == job and begin.host == host for begin in self._begun.values())

    def wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait for something; whether it came."""
        until_s = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > until_s:
                return False
            time.sleep(_LOOK_S)
        return True

    def _look(self) -> None:
        for record in self._tail.new():
            if isinstance(record, Begin):
                self._begun[record.job, record.pid] = record
            elif isinstance(record, End):
                begin = self._begun.pop((record.job, record.pid), None)
                if begin is not None:
                    self._done.append((begin.at_ns, record.at_ns, begin.host))
            elif isinstance(record, Died):
                self._begun = {key: begin for key, begin in self._begun.items() if begin.pid != record.pid}
