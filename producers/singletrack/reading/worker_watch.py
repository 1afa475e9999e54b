"""Watches over a wait."""

import time

from singletrack.reading.snapshots import Snapshot, SnapshotReader
from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable

Trouble = RedisUnavailable | InvalidConfiguration


class WorkerWatch:
    """Notices during a wait that the worker, or Redis, has gone; each may be away for `grace_s` seconds."""

    def __init__(self, reader: SnapshotReader, grace_s: float) -> None:
        self._reader = reader
        self._grace_s = grace_s
        self._worker_at_s = self._redis_at_s = time.monotonic()
        self.worker_seen = False
        self.last: Snapshot | None = None
        self.trouble: Trouble | None = None

    def look(self) -> None:
        """Look for the worker; raises `RedisUnavailable`."""
        self.last = self._reader.read()
        self.trouble = None
        self._redis_at_s = time.monotonic()
        self.worker_seen = self.last is not None and self.last.fresh
        if self.worker_seen:
            self._worker_at_s = self._redis_at_s

    @property
    def worker_gone(self) -> bool:
        """Whether the worker has been away for too long."""
        return not self.worker_seen and self._redis_at_s - self._worker_at_s > self._grace_s

    def lost(self, error: Trouble) -> None:
        """Bear with a Redis that does not answer, or refuses access, as while its password changes; raises `error`."""
        self.trouble = error
        if time.monotonic() - self._redis_at_s > self._grace_s:
            raise error
