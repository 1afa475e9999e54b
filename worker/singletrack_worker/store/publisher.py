"""Publishes the status and events."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

import redis

from singletrack_tasks.events import AnyEvent
from singletrack_tasks.keys import EVENTS_MAX, EVENTS_TTL_S, STATUS_TTL_S, Keys
from singletrack_tasks.status import GPUResourceStatus
from singletrack_worker.gpu.kept_thread import KeptThread, Troubles
from singletrack_worker.store.writer import Writer

# How many events wait while Redis is away; the oldest are dropped.
EVENTS_HELD = 1000

_log = logging.getLogger(__name__)


class RedisPublisher:
    """Publishes the status and events; a thread publishes the status at every change, and every `PERIOD_S`."""

    PERIOD_S = 1.0
    # Changes that come faster than this are published together: a burst of short jobs would otherwise spend as much
    # time on the status as on the jobs.
    GATHER_S = 0.05

    def __init__(self, keys: Keys, writer: Writer, troubles: Troubles) -> None:
        self._troubles = troubles
        self._keys = keys
        self._writer = writer
        self._events: deque[AnyEvent] = deque(maxlen=EVENTS_HELD)
        self._lock = threading.Lock()
        # Held from taking a snapshot until it is written, so that an older one never overwrites a newer one.
        self._in_order = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: KeptThread | None = None

    def start(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Start the thread."""
        self._thread = KeptThread("status", partial(self._publish_next, snapshot), self._troubles)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; calling it again does nothing."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    def changed(self) -> None:
        """Make the thread publish soon."""
        self._wake.set()

    def publish(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Take a snapshot and write it, then the waiting events."""
        try:
            with self._in_order:
                text = snapshot().model_dump_json()
                self._writer.write(("SET", self._keys.status, text, "EX", STATUS_TTL_S))
        except redis.RedisError as error:
            _log.warning("could not publish the status: %s", error)
            return
        self._flush()

    def emit(self, event: AnyEvent) -> None:
        """Write an event; one that cannot be written waits for the next call."""
        self._events.append(event)
        self._flush()

    def _publish_next(self, snapshot: Callable[[], GPUResourceStatus]) -> bool:
        """Wait for the next moment and publish; returns whether to go on."""
        if self._wake.wait(self.PERIOD_S):
            self._stopped.wait(self.GATHER_S)
        self._wake.clear()
        self.publish(snapshot)
        return not self._stopped.is_set()

    def _flush(self) -> None:
        with self._lock:
            while self._events:
                try:
                    self._append(self._events[0])
                except redis.RedisError as error:
                    _log.warning("%d events are waiting for Redis: %s", len(self._events), error)
                    return
                self._events.popleft()

    def _append(self, event: AnyEvent) -> None:
        key = self._keys.events
        self._writer.write(
            ("XADD", key, "MAXLEN", "~", EVENTS_MAX, "*", "event", event.model_dump_json()),
            ("EXPIRE", key, EVENTS_TTL_S),
        )
