"""The status and events, published as they change."""

import itertools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from singletrack_tasks.events import WorkerStarted, parse_event
from singletrack_tasks.keys import EVENTS_TTL_S, STATUS_TTL_S
from singletrack_tasks.status import ClipStatus, ExecutionMode, GPUResourceStatus, ModelState, VlmStatus, WorkerInfo
from singletrack_worker.gpu.kept_thread import Troubles
from singletrack_worker.store.publisher import RedisPublisher
from singletrack_worker.store.writer import FencedWriter
from tests.integration.ops.waiting import wait_for
from tests.unit.worker.track import KEYS, TOKEN


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


@pytest.fixture
def publisher(writer: FencedWriter) -> Iterator[RedisPublisher]:
    made = RedisPublisher(KEYS, writer, Troubles())
    yield made
    made.stop()


def test_a_status_is_there_at_once(publisher: RedisPublisher, connection: redis.Redis) -> None:
    publisher.publish(snapshot)
    text = connection.get(KEYS.status)
    assert isinstance(text, bytes)
    assert GPUResourceStatus.model_validate_json(text) == snapshot()
    assert 0 < connection.ttl(KEYS.status) <= STATUS_TTL_S


def test_events_keep_their_order_and_a_bound(publisher: RedisPublisher, connection: redis.Redis) -> None:
    for pid in range(5):
        publisher.emit(started(pid))
    assert pids(connection) == [0, 1, 2, 3, 4]
    assert 0 < connection.ttl(KEYS.events) <= EVENTS_TTL_S


def test_a_worker_that_lost_the_track_publishes_nothing(publisher: RedisPublisher, connection: redis.Redis) -> None:
    connection.set(KEYS.fence, TOKEN + 1)
    publisher.publish(snapshot)
    publisher.emit(started(1))
    assert not connection.exists(KEYS.status, KEYS.events)


def test_it_publishes_by_itself(publisher: RedisPublisher, connection: redis.Redis) -> None:
    publisher.PERIOD_S = 0.01  # of this one alone
    taken = itertools.count()
    publisher.start(lambda: snapshot(next(taken)))
    wait_for(lambda: published_at(connection) > 5, "one snapshot after another")


def test_a_snapshot_is_not_overwritten_by_an_older_one() -> None:
    taken, go_on = threading.Event(), threading.Event()
    writer = ListingWriter()
    publisher = RedisPublisher(KEYS, writer, Troubles())
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


def test_it_publishes_at_every_change(publisher: RedisPublisher, connection: redis.Redis) -> None:
    publisher.PERIOD_S = 60
    publisher.start(snapshot)
    for _ in range(3):
        connection.delete(KEYS.status)
        publisher.changed()
        wait_for(lambda: bool(connection.exists(KEYS.status)), "the change is published")


def test_a_snapshot_that_cannot_be_taken_does_not_end_it(
    publisher: RedisPublisher, connection: redis.Redis, caplog: pytest.LogCaptureFixture
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
    assert "thread 'status' failed" in caplog.text


def test_stopping_again_does_nothing(publisher: RedisPublisher) -> None:
    publisher.start(snapshot)
    publisher.stop()
    publisher.stop()
    assert [thread for thread in threading.enumerate() if thread.name == "status"] == []


def test_events_wait_for_a_redis_that_is_away(connection: redis.Redis, writer: FencedWriter) -> None:
    publisher = RedisPublisher(KEYS, writer, Troubles())
    connection.execute_command("ACL", "SETUSER", "default", "-xadd")  # type: ignore[no-untyped-call] # redis-py leaves it untyped
    try:
        publisher.emit(started(1))
        publisher.emit(started(2))
    finally:
        connection.execute_command("ACL", "SETUSER", "default", "+xadd")  # type: ignore[no-untyped-call] # as above
    assert pids(connection) == []
    publisher.publish(snapshot)
    assert pids(connection) == [1, 2]
