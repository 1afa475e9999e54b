"""The answers that are kept, the newest first, for a while and within bounds."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from singletrack.agent.remembered.kept_screen import KeptScreen
from singletrack.answers import Answer

MAX_KEPT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class KeptAnswer:
    """An answer, the question and the screen it was given to, and how long the VLM worked for it (seconds)."""

    key: str
    answer: Answer[Any]
    job_id: str
    screen: KeptScreen
    texts: tuple[str, ...]
    worked_s: float
    answered_s: float


class Recollection:
    """Keeps up to `capacity` answers of 256 MiB in all for `keep_s` seconds; the oldest goes first. Thread-safe."""

    def __init__(self, capacity: int, keep_s: float, clock: Callable[[], float]) -> None:
        self._capacity = capacity
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[KeptAnswer] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """How many answers are kept."""
        with self._lock:
            return len(self._kept)

    def keep(self, answer: KeptAnswer) -> None:
        """Keep an answer."""
        with self._lock:
            self._kept.appendleft(answer)
            self._bytes += answer.screen.size_bytes
            while len(self._kept) > self._capacity or self._bytes > MAX_KEPT_BYTES:
                self._drop_oldest()

    def of(self, key: str, model: str) -> list[KeptAnswer]:
        """Return the answers to a question that `model` gave and that are not too old."""
        with self._lock:
            while self._kept and self._clock() - self._kept[-1].answered_s > self._keep_s:
                self._drop_oldest()
            return [one for one in self._kept if (one.key, one.answer.result.model) == (key, model)]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _drop_oldest(self) -> None:
        self._bytes -= self._kept.pop().screen.size_bytes
