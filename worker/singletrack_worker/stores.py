"""What the manager keeps in Redis: state, status, events, embeddings; and what it reads there."""

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis

from singletrack_tasks.errors import RedisUnavailable
from singletrack_tasks.events import AnyEvent
from singletrack_tasks.keys import (
    EVENTS_MAX,
    EVENTS_TTL_S,
    RECORDING_TTL_S,
    STATE_TTL_S,
    STATUS_TTL_S,
    VECTOR_TTL_S,
    Keys,
)
from singletrack_tasks.recording import Recording
from singletrack_tasks.status import ExecutionMode, GPUResourceStatus
from singletrack_tasks.wire import Blob, BlobStore, Vector
from singletrack_worker.gpu.ports import SavedState

_log = logging.getLogger(__name__)

# Events that wait for a Redis that is away; older ones give way.
EVENTS_HELD = 1000


class Writer(Protocol):
    """Writes as long as this worker may."""

    def write(self, *commands: tuple[str | int, ...]) -> bool:
        """Run commands as one; False if another worker has the track. Raises `redis.RedisError`."""


class RedisBlobs:
    """Payloads of requests."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._store = BlobStore(client, keys)

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """Fetch payloads in order; raises `BlobMissing`, `RedisUnavailable`."""
        try:
            return self._store.get(blobs)
        except redis.RedisError as error:
            raise RedisUnavailable(f"cannot fetch the payloads: {error}. Send the request again.") from error


class RedisVectorCache:
    """Embeddings under the hash of their inputs; a cache that is away costs time, never an answer."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._redis = client
        self._keys = keys

    def put(self, fingerprint: str, sha256s: Sequence[str], vectors: Vector) -> None:
        """Keep embeddings."""
        pipe = self._redis.pipeline(transaction=False)
        for sha256, vector in zip(sha256s, vectors, strict=True):
            pipe.set(self._keys.vector(fingerprint, sha256), vector.astype("<f4").tobytes(), ex=VECTOR_TTL_S)
        try:
            pipe.execute()
        except redis.RedisError as error:
            _log.warning("embeddings were not cached: %s", error)


class RedisMemory:
    """What survives a worker."""

    def __init__(self, client: redis.Redis, keys: Keys, writer: Writer) -> None:
        self._redis = client
        self._writer = writer
        self._key = keys.state
        self._last: dict[str, str] | None = None

    def load(self) -> SavedState:
        """Read it; raises `RedisUnavailable`."""
        try:
            raw: Any = self._redis.hgetall(self._key)
        except redis.RedisError as error:
            raise RedisUnavailable(f"cannot read the track's state: {error}") from error
        stored = {name.decode(): value.decode() for name, value in raw.items()}
        try:
            return _state(stored)
        except ValueError as error:
            _log.warning("the saved state is of another release (%s): starting in mode IDLE", error)
            return SavedState()

    def save(self, state: SavedState) -> None:
        """Write what changed; a Redis that is away is logged, and the next save writes it."""
        last_used = state.vlm_last_used_unix_s
        now = {
            "mode": state.mode.value,
            "vlm_last_used_unix_s": "" if last_used is None else repr(last_used),
            "footprints_mb": json.dumps(state.footprints_mb),
            "durations_s": json.dumps(state.durations_s),
        }
        if now == self._last:
            return
        fields = (word for field in now.items() for word in field)
        try:
            written = self._writer.write(("HSET", self._key, *fields), ("EXPIRE", self._key, STATE_TTL_S))
        except redis.RedisError as error:
            _log.warning("the state was not saved: %s", error)
        else:
            self._last = now if written else None


class RedisCancellations:
    """Jobs that their callers gave up."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._redis = client
        self._keys = keys

    def is_cancelled(self, job_id: str) -> bool:
        """Look; if Redis is away, the job is done: its caller may still wait."""
        try:
            return bool(self._redis.exists(self._keys.cancel(job_id)))
        except redis.RedisError as error:
            _log.warning("cannot see whether job %s was cancelled: %s", job_id, error)
            return False


class RedisRecordings:
    """Recordings for those who asked; one that cannot be written is asked for again."""

    def __init__(self, keys: Keys, writer: Writer) -> None:
        self._keys = keys
        self._writer = writer

    def put(self, request_id: str, recording: Recording) -> None:
        """Write one, as long as this worker has the track: another's GPU is none of the asker's business."""
        try:
            key = self._keys.recording(request_id)
            self._writer.write(("SET", key, recording.pack_text(), "EX", RECORDING_TTL_S))
        except redis.RedisError as error:
            _log.warning("the recording %s was not delivered: %s", request_id, error)


class RedisPublisher:
    """Status and events; a thread publishes at every change, and every second while there is none."""

    PERIOD_S = 1.0
    # Changes that follow each other faster than this are published together: a burst of short jobs would
    # otherwise spend as much on its status as on itself.
    GATHER_S = 0.05

    def __init__(self, keys: Keys, writer: Writer) -> None:
        self._keys = keys
        self._writer = writer
        self._events: deque[AnyEvent] = deque(maxlen=EVENTS_HELD)
        self._lock = threading.Lock()
        # Held from taking a snapshot to its end in Redis: none is overwritten by one that was taken before it.
        self._in_order = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, args=(snapshot,), name="status", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; calling it again does nothing."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def changed(self) -> None:
        """Have the thread publish soon."""
        self._wake.set()

    def publish(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        """Take a snapshot and write it, and the events that wait."""
        try:
            with self._in_order:
                text = snapshot().model_dump_json()
                self._writer.write(("SET", self._keys.status, text, "EX", STATUS_TTL_S))
        except redis.RedisError as error:
            _log.warning("the status was not published: %s", error)
            return
        self._flush()

    def emit(self, event: AnyEvent) -> None:
        """Add an event; one that cannot be written waits for the next."""
        self._events.append(event)
        self._flush()

    def _run(self, snapshot: Callable[[], GPUResourceStatus]) -> None:
        while not self._stopped.is_set():
            if self._wake.wait(self.PERIOD_S):
                self._stopped.wait(self.GATHER_S)
            self._wake.clear()
            try:
                self.publish(snapshot)
            except Exception:
                # Without this thread the track looks dead: a defect in one snapshot must not end it.
                _log.exception("no status snapshot could be taken")

    def _flush(self) -> None:
        with self._lock:
            while self._events:
                try:
                    self._append(self._events[0])
                except redis.RedisError as error:
                    _log.warning("%d events wait for Redis: %s", len(self._events), error)
                    return
                self._events.popleft()

    def _append(self, event: AnyEvent) -> None:
        key = self._keys.events
        self._writer.write(
            ("XADD", key, "MAXLEN", "~", EVENTS_MAX, "*", "event", event.model_dump_json()),
            ("EXPIRE", key, EVENTS_TTL_S),
        )


def _state(stored: dict[str, str]) -> SavedState:
    last_used = stored.get("vlm_last_used_unix_s", "")
    return SavedState(
        mode=ExecutionMode(stored.get("mode", ExecutionMode.IDLE)),
        vlm_last_used_unix_s=float(last_used) if last_used else None,
        footprints_mb=json.loads(stored.get("footprints_mb", "{}")),
        durations_s=json.loads(stored.get("durations_s", "{}")),
    )
