"""What the manager keeps in Redis, with a Redis that is there and one that is not."""

import itertools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import redis

from singletrack_tasks.errors import BlobMissing, RedisUnavailable
from singletrack_tasks.events import WorkerStarted, parse_event
from singletrack_tasks.keys import (
    CANCEL_TTL_S,
    EVENTS_TTL_S,
    RECORDING_TTL_S,
    STATE_TTL_S,
    STATUS_TTL_S,
    VECTOR_TTL_S,
    Keys,
)
from singletrack_tasks.payload.blobs import Blob, BlobStore
from singletrack_tasks.recording import Recording
from singletrack_tasks.status import (
    ClipStatus,
    ExecutionMode,
    GPUResourceStatus,
    ModelState,
    VlmStatus,
    WorkerInfo,
)
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.gpu.stores import SavedState
from singletrack_worker.store.callers import RedisCancellations, RedisRecordings
from singletrack_worker.store.payloads import RedisBlobs, RedisVectorCache
from singletrack_worker.store.publisher import RedisPublisher
from singletrack_worker.store.state import RedisMemory
from singletrack_worker.store.writer import FencedWriter
from tests.integration.ops.waiting import wait_for

KEYS = Keys("unit")
TOKEN = 7


@pytest.fixture
def scripts(connection: redis.Redis) -> Scripts:
    return Scripts(connection)


@pytest.fixture
def writer(connection: redis.Redis, scripts: Scripts) -> FencedWriter:
    """That of the worker that has the track."""
    connection.set(KEYS.fence, TOKEN)
    return FencedWriter(connection, KEYS, scripts, lambda: TOKEN)


def snapshot(taken_unix_s: float = 1.0) -> GPUResourceStatus:
    return GPUResourceStatus(
        track="unit",
        taken_unix_s=taken_unix_s,
        worker=WorkerInfo(host="here", pid=1, release="0", started_unix_s=0),
        mode=ExecutionMode.IDLE,
        gpu=None,
        vram=None,
        vlm=VlmStatus(model="m", state=ModelState.UNLOADED),
        clip=ClipStatus(),
        degraded=False,
    )


def published_at(connection: redis.Redis) -> float:
    """When the snapshot was taken that is the current one, 0 if there is none."""
    text: Any = connection.get(KEYS.status)
    return 0.0 if text is None else GPUResourceStatus.model_validate_json(text).taken_unix_s


class ListingWriter:
    """Keeps when the snapshots were taken that it is given to write."""

    def __init__(self) -> None:
        self.taken_unix_s: list[float] = []

    def write(self, *commands: tuple[str | int, ...]) -> bool:
        ((_, _, text, *_),) = commands
        self.taken_unix_s.append(GPUResourceStatus.model_validate_json(str(text)).taken_unix_s)
        return True


def started(pid: int) -> WorkerStarted:
    return WorkerStarted(at_unix_s=0, host="here", pid=pid)


def pids(connection: redis.Redis) -> list[int]:
    """The workers that the stream tells of."""
    entries: Any = connection.xrange(KEYS.events)
    events = [parse_event(fields[b"event"]) for _, fields in entries]
    return [event.pid for event in events if isinstance(event, WorkerStarted)]


class TestBlobs:
    def test_payloads_come_back_in_order(self, connection: redis.Redis) -> None:
        blobs = BlobStore(connection, KEYS).put([b"one", b"two"], "file", 60)
        assert RedisBlobs(connection, KEYS).get(blobs[::-1]) == [b"two", b"one"]
        assert RedisBlobs(connection, KEYS).get([]) == []

    def test_one_that_is_gone_is_named(self, connection: redis.Redis) -> None:
        blob = Blob.of(b"gone", "file")
        with pytest.raises(BlobMissing, match=blob.sha256[:12]):
            RedisBlobs(connection, KEYS).get([blob])

    def test_one_that_is_not_what_was_sent_is_refused(self, connection: redis.Redis) -> None:
        blob = Blob.of(b"right", "file")
        connection.set(KEYS.blob(blob.sha256), b"wrong")
        with pytest.raises(BlobMissing, match="not what was sent"):
            RedisBlobs(connection, KEYS).get([blob])

    def test_without_redis(self, away: redis.Redis) -> None:
        with pytest.raises(RedisUnavailable, match="Send the request again"):
            RedisBlobs(away, KEYS).get([Blob.of(b"x", "file")])


class TestVectorCache:
    def test_rows_are_kept_under_their_inputs(self, connection: redis.Redis) -> None:
        vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
        RedisVectorCache(connection, KEYS).put("fp", ["a" * 64, "b" * 64], vectors)
        kept = connection.get(KEYS.vector("fp", "b" * 64))
        assert isinstance(kept, bytes)
        np.testing.assert_array_equal(np.frombuffer(kept, "<f4"), vectors[1])
        assert 0 < connection.ttl(KEYS.vector("fp", "a" * 64)) <= VECTOR_TTL_S

    def test_without_redis_it_is_logged_and_nothing_fails(
        self, away: redis.Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        RedisVectorCache(away, KEYS).put("fp", ["a" * 64], np.zeros((1, 2), np.float32))
        assert "not cached" in caplog.text


class TestMemory:
    def test_a_track_without_a_past_begins_idle(self, connection: redis.Redis, writer: FencedWriter) -> None:
        assert RedisMemory(connection, KEYS, writer).load() == SavedState()

    def test_what_is_saved_is_loaded_by_the_next_worker(self, connection: redis.Redis, writer: FencedWriter) -> None:
        state = SavedState(ExecutionMode.RECORDING, 1795488564.5833755, {"vlm:m:default": 5600})
        RedisMemory(connection, KEYS, writer).save(state)
        assert RedisMemory(connection, KEYS, writer).load() == state
        assert 0 < connection.ttl(KEYS.state) <= STATE_TTL_S

    @pytest.mark.parametrize("field", ["mode", "vlm_last_used_unix_s", "footprints_mb"])
    def test_a_state_of_another_release_does_not_keep_a_worker_from_starting(
        self, connection: redis.Redis, writer: FencedWriter, caplog: pytest.LogCaptureFixture, field: str
    ) -> None:
        RedisMemory(connection, KEYS, writer).save(SavedState(ExecutionMode.RECORDING))
        connection.hset(KEYS.state, field, "nonsense")
        assert RedisMemory(connection, KEYS, writer).load() == SavedState()
        assert "another release" in caplog.text

    def test_a_last_use_that_was_forgotten_stays_so(self, connection: redis.Redis, writer: FencedWriter) -> None:
        memory = RedisMemory(connection, KEYS, writer)
        memory.save(SavedState(vlm_last_used_unix_s=5.0))
        memory.save(SavedState(vlm_last_used_unix_s=None))
        assert RedisMemory(connection, KEYS, writer).load().vlm_last_used_unix_s is None

    def test_what_did_not_change_is_not_written_again(self, connection: redis.Redis, writer: FencedWriter) -> None:
        memory = RedisMemory(connection, KEYS, writer)
        memory.save(SavedState())
        connection.delete(KEYS.state)
        memory.save(SavedState())
        assert not connection.exists(KEYS.state)
        memory.save(SavedState(mode=ExecutionMode.AUTOPILOT))
        assert connection.exists(KEYS.state)

    def test_without_redis_loading_fails_and_saving_is_logged(
        self, away: redis.Redis, scripts: Scripts, caplog: pytest.LogCaptureFixture
    ) -> None:
        memory = RedisMemory(away, KEYS, FencedWriter(away, KEYS, scripts, lambda: TOKEN))
        with pytest.raises(RedisUnavailable, match="track's state"):
            memory.load()
        memory.save(SavedState())
        assert "not saved" in caplog.text

    def test_what_could_not_be_saved_is_saved_the_next_time(
        self, connection: redis.Redis, writer: FencedWriter
    ) -> None:
        memory = RedisMemory(connection, KEYS, writer)
        connection.execute_command("ACL", "SETUSER", "default", "-hset")  # type: ignore[no-untyped-call] # redis-py leaves it untyped
        try:
            memory.save(SavedState(mode=ExecutionMode.RECORDING))
        finally:
            connection.execute_command("ACL", "SETUSER", "default", "+hset")  # type: ignore[no-untyped-call] # as above
        assert not connection.exists(KEYS.state)
        memory.save(SavedState(mode=ExecutionMode.RECORDING))
        assert RedisMemory(connection, KEYS, writer).load().mode is ExecutionMode.RECORDING

    def test_a_worker_that_lost_the_track_changes_nothing(
        self, connection: redis.Redis, writer: FencedWriter, caplog: pytest.LogCaptureFixture
    ) -> None:
        memory = RedisMemory(connection, KEYS, writer)
        memory.save(SavedState(mode=ExecutionMode.RECORDING))
        connection.set(KEYS.fence, TOKEN + 1)
        memory.save(SavedState(mode=ExecutionMode.AUTOPILOT))
        assert memory.load().mode is ExecutionMode.RECORDING
        assert "refused" in caplog.text
        connection.set(KEYS.fence, TOKEN)
        memory.save(SavedState(mode=ExecutionMode.AUTOPILOT))
        assert memory.load().mode is ExecutionMode.AUTOPILOT


class TestCancellations:
    def test_a_job_is_cancelled_once_its_key_is_there(self, connection: redis.Redis) -> None:
        cancellations = RedisCancellations(connection, KEYS)
        assert not cancellations.is_cancelled("job")
        connection.set(KEYS.cancel("job"), b"1", ex=CANCEL_TTL_S)
        assert cancellations.is_cancelled("job")
        assert not cancellations.is_cancelled("another")

    def test_without_redis_the_job_is_done(self, away: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
        assert not RedisCancellations(away, KEYS).is_cancelled("job")
        assert "job" in caplog.text


class TestPublisher:
    @pytest.fixture
    def publisher(self, writer: FencedWriter) -> Iterator[RedisPublisher]:
        made = RedisPublisher(KEYS, writer)
        yield made
        made.stop()

    def test_a_status_is_there_at_once(self, publisher: RedisPublisher, connection: redis.Redis) -> None:
        publisher.publish(snapshot)
        text = connection.get(KEYS.status)
        assert isinstance(text, bytes)
        assert GPUResourceStatus.model_validate_json(text) == snapshot()
        assert 0 < connection.ttl(KEYS.status) <= STATUS_TTL_S

    def test_events_keep_their_order_and_a_bound(self, publisher: RedisPublisher, connection: redis.Redis) -> None:
        for pid in range(5):
            publisher.emit(started(pid))
        assert pids(connection) == [0, 1, 2, 3, 4]
        assert 0 < connection.ttl(KEYS.events) <= EVENTS_TTL_S

    def test_a_worker_that_lost_the_track_publishes_nothing(
        self, publisher: RedisPublisher, connection: redis.Redis
    ) -> None:
        connection.set(KEYS.fence, TOKEN + 1)
        publisher.publish(snapshot)
        publisher.emit(started(1))
        assert not connection.exists(KEYS.status, KEYS.events)

    def test_it_publishes_by_itself(self, publisher: RedisPublisher, connection: redis.Redis) -> None:
        publisher.PERIOD_S = 0.01  # of this one alone
        taken = itertools.count()
        publisher.start(lambda: snapshot(next(taken)))
        wait_for(lambda: published_at(connection) > 5, "one snapshot after another")

    def test_a_snapshot_is_not_overwritten_by_an_older_one(self) -> None:
        taken, go_on = threading.Event(), threading.Event()
        writer = ListingWriter()
        publisher = RedisPublisher(KEYS, writer)
        publisher.PERIOD_S = 60  # of this one alone: the older one is taken once

        def take() -> GPUResourceStatus:
            taken.set()
            go_on.wait(10)
            return snapshot(1.0)

        publisher.start(take)
        publisher.changed()
        assert taken.wait(10)
        newer = threading.Thread(target=publisher.publish, args=(lambda: snapshot(2.0),))
        newer.start()
        # Long enough for it to be written, if it did not wait for the older one.
        newer.join(0.3)
        go_on.set()
        wait_for(lambda: len(writer.taken_unix_s) >= 2, "both are written")
        publisher.stop()
        assert writer.taken_unix_s[:2] == [1.0, 2.0]

    def test_it_publishes_at_every_change(self, publisher: RedisPublisher, connection: redis.Redis) -> None:
        publisher.PERIOD_S = 60
        publisher.start(snapshot)
        for _ in range(3):
            connection.delete(KEYS.status)
            publisher.changed()
            wait_for(lambda: bool(connection.exists(KEYS.status)), "the change is published")

    def test_a_snapshot_that_cannot_be_taken_does_not_end_it(
        self, publisher: RedisPublisher, connection: redis.Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        failed = threading.Event()

        def take() -> GPUResourceStatus:
            if not failed.is_set():
                failed.set()
                raise RuntimeError("a defect")
            return snapshot()

        with caplog.at_level(logging.ERROR):
            publisher.start(take)
            publisher.changed()
            assert failed.wait(10)
            publisher.changed()
            wait_for(lambda: bool(connection.exists(KEYS.status)), "the next is published")
        assert "no status snapshot could be taken" in caplog.text

    def test_stopping_again_does_nothing(self, publisher: RedisPublisher) -> None:
        publisher.start(snapshot)
        publisher.stop()
        publisher.stop()
        assert [thread for thread in threading.enumerate() if thread.name == "status"] == []

    def test_events_wait_for_a_redis_that_is_away(self, connection: redis.Redis, writer: FencedWriter) -> None:
        publisher = RedisPublisher(KEYS, writer)
        connection.execute_command("ACL", "SETUSER", "default", "-xadd")  # type: ignore[no-untyped-call] # redis-py leaves it untyped
        try:
            publisher.emit(started(1))
            publisher.emit(started(2))
        finally:
            connection.execute_command("ACL", "SETUSER", "default", "+xadd")  # type: ignore[no-untyped-call] # as above
        assert pids(connection) == []
        publisher.publish(snapshot)
        assert pids(connection) == [1, 2]


class TestRecordings:
    recording = Recording(track="unit", reason="on_demand", taken_unix_s=1.0)

    def test_one_lies_there_for_a_while(self, connection: redis.Redis, writer: FencedWriter) -> None:
        RedisRecordings(KEYS, writer).put("r-1", self.recording)
        found: Any = connection.get(KEYS.recording("r-1"))
        assert Recording.unpack_text(found) == self.recording
        assert 0 < connection.ttl(KEYS.recording("r-1")) <= RECORDING_TTL_S

    def test_a_worker_that_lost_the_track_delivers_nothing(self, connection: redis.Redis, writer: FencedWriter) -> None:
        connection.set(KEYS.fence, TOKEN + 1)
        RedisRecordings(KEYS, writer).put("r-1", self.recording)
        assert connection.exists(KEYS.recording("r-1")) == 0

    def test_a_redis_that_is_away_is_logged(
        self, away: redis.Redis, scripts: Scripts, caplog: pytest.LogCaptureFixture
    ) -> None:
        RedisRecordings(KEYS, FencedWriter(away, KEYS, scripts, lambda: TOKEN)).put("r-1", self.recording)
        assert "r-1 was not delivered" in caplog.text
