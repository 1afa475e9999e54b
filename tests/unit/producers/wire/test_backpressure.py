"""A queue and payloads that are bounded: what does not fit is refused at once, whole, and with the figures."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from singletrack.client import Client
from singletrack.wire import transport
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.errors import QueueFull, RedisUnavailable
from singletrack_tasks.keys import BLOB_TTL_S, PAYLOADS_TTL_S
from singletrack_tasks.payload.blobs import Blob, BlobStore
from singletrack_tasks.requests.ping import Ping
from tests.unit.producers.conftest import LONELY_TRACK, Backstage, wait_until
from tests.unit.producers.sample_images import png

TRACK = "bounded"
DAY_S = 24 * 3600.0


@pytest.fixture
def stage(redis_url: str) -> Iterator[Backstage]:
    """A track on which nothing lies."""
    stage = Backstage(redis_url, TRACK)
    for key in stage.redis.scan_iter(f"{stage.keys.prefix}*"):
        stage.redis.delete(key)
    yield stage
    stage.redis.close()


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    with Client(redis_url, TRACK) as client:
        yield client


@pytest.fixture
def store(stage: Backstage) -> BlobStore:
    return BlobStore(stage.redis, stage.keys)


def _limit(stage: Backstage, **limits: int) -> None:
    stage.redis.hset(stage.keys.limits, mapping=limits)


def _queued(stage: Backstage) -> int:
    return int(stage.redis.llen(stage.keys.queue))


def _blobs(stage: Backstage) -> int:
    return sum(1 for _ in stage.redis.scan_iter(stage.keys.blob("*")))


def _counted(stage: Backstage) -> int:
    return int(stage.redis.get(stage.keys.payload_bytes))


def _indexed(stage: Backstage) -> int:
    return sum(int(member.decode().partition(":")[2]) for member in stage.redis.zrange(stage.keys.payloads, 0, -1))


def _left_s(stage: Backstage, data: bytes) -> float:
    return float(stage.redis.pttl(stage.keys.blob(Blob.of(data, "file").sha256))) / 1000


def _member(data: bytes) -> str:
    blob = Blob.of(data, "file")
    return f"{blob.sha256}:{blob.size_bytes}"


def test_a_full_queue_refuses_with_its_figures_until_there_is_room(client: Client, stage: Backstage) -> None:
    _limit(stage, queue_max=2)
    for _ in range(2):
        client.submit(Ping())
    with pytest.raises(QueueFull, match=r"2 jobs wait, and 2 may.*singletrack status") as caught:
        client.submit(Ping())
    assert caught.value.details == {"queued": 2, "queue_max": 2}
    assert caught.value.kind == "capacity"
    assert _queued(stage) == 2
    stage.redis.rpop(stage.keys.queue)
    client.submit(Ping())
    assert _queued(stage) == 2


def test_a_refusal_is_not_tried_again(client: Client, stage: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    put = transport.ClientChannel._put

    def count(channel: transport.ClientChannel, queue: str, *args: Any, **options: Any) -> None:
        tries.append(queue)
        put(channel, queue, *args, **options)

    monkeypatch.setattr(transport.ClientChannel, "_put", count)
    _limit(stage, queue_max=0)
    with pytest.raises(QueueFull):
        client.submit(Ping())
    assert tries == ["gpu"]


def test_without_a_word_of_the_worker_the_contracts_limit_holds(
    client: Client, stage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "QUEUE_MAX", 1)
    client.submit(Ping())
    with pytest.raises(QueueFull):
        client.submit(Ping())
    assert _queued(stage) == 1


def test_each_track_has_its_own_queue_and_limits(
    client: Client, stage: Backstage, lonely: Client, lonely_backstage: Backstage
) -> None:
    _limit(stage, queue_max=0)
    lonely.submit(Ping())
    assert _queued(lonely_backstage) == 1
    _limit(lonely_backstage, queue_max=1)
    stage.redis.delete(stage.keys.limits)
    client.submit(Ping())
    client.submit(Ping())
    assert _queued(stage) == 2
    stray = {key for key in stage.redis.scan_iter("*gpu") if not key.startswith(b"singletrack:")}
    assert stray == set()


def test_a_queue_never_grows_past_its_limit_whoever_sends(redis_url: str, stage: Backstage) -> None:
    _limit(stage, queue_max=10)

    def send(_: int) -> int:
        sent = 0
        with Client(redis_url, TRACK) as client:
            for _ in range(5):
                try:
                    client.submit(Ping())
                    sent += 1
                except QueueFull:
                    continue
        return sent

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(send, range(6))) == 10
    assert _queued(stage) == 10


def test_nobody_listens_for_the_result_of_a_refused_job(client: Client, stage: Backstage) -> None:
    _limit(stage, queue_max=1)
    accepted = client.submit(Ping())
    with pytest.raises(QueueFull):
        client.submit(Ping())
    heard = stage.keys.result(accepted.id).encode()
    wait_until(lambda: stage.redis.pubsub_channels(stage.keys.result("*")) == [heard])


def test_a_job_in_a_full_queue_can_be_cancelled(client: Client, stage: Backstage) -> None:
    _limit(stage, queue_max=1)
    job = client.submit(Ping())
    job.cancel()
    assert stage.redis.exists(stage.keys.cancel(job.id))


def test_a_redis_that_forgot_the_script_learns_it_again(client: Client, stage: Backstage) -> None:
    client.submit(Ping())
    stage.redis.script_flush()
    client.submit(Ping())
    assert _queued(stage) == 2


def test_payloads_past_the_limit_are_refused_together_and_nothing_is_sent(client: Client, stage: Backstage) -> None:
    small, others = png((1, 1, 1)), [png((2, 2, 2)), png((3, 3, 3))]
    limit = len(small) + len(others[0]) + len(others[1]) - 1
    _limit(stage, payload_bytes_max=limit)
    client.submit_ask("what?", [small])
    with pytest.raises(QueueFull, match="Try again later") as caught:
        client.submit_ask("what?", [small, *others])
    needed = sum(map(len, others))
    assert caught.value.details == {
        "payload_bytes": len(small),
        "needed_bytes": needed,
        "payload_bytes_max": limit,
    }
    assert (_queued(stage), _blobs(stage)) == (1, 1)
    assert _counted(stage) == _indexed(stage) == len(small)
    client.submit_ask("what?", [small, others[0]])
    assert (_queued(stage), _blobs(stage)) == (2, 2)


def test_what_never_fits_is_told_to_be_less(client: Client, stage: Backstage) -> None:
    _limit(stage, payload_bytes_max=10)
    with pytest.raises(QueueFull, match="Send less in one request"):
        client.submit_ask("what?", [png()])


def test_payloads_that_have_gone_give_their_room_back(store: BlobStore, stage: Backstage) -> None:
    _limit(stage, payload_bytes_max=150)
    store.put([b"a" * 100], "file", 60)
    with pytest.raises(QueueFull):
        store.put([b"b" * 100], "file", 60)
    stage.redis.zadd(stage.keys.payloads, {_member(b"a" * 100): 1})
    store.put([b"b" * 100], "file", 60)
    assert _counted(stage) == _indexed(stage) == 100


def test_a_payload_that_is_there_is_counted_once_and_never_refused(store: BlobStore, stage: Backstage) -> None:
    _limit(stage, payload_bytes_max=100)
    blobs = store.put([b"a" * 100, b"a" * 100], "file", 60)
    assert store.put([b"a" * 100], "file", 60) == blobs[:1]
    assert _counted(stage) == 100
    assert store.get(blobs) == [b"a" * 100] * 2


def test_a_payload_of_somebody_who_did_not_count_is_counted_when_it_is_used(store: BlobStore, stage: Backstage) -> None:
    _limit(stage, payload_bytes_max=50)
    stage.redis.set(stage.keys.blob(Blob.of(b"a" * 100, "file").sha256), b"a" * 100)
    store.put([b"a" * 100], "file", 60)
    assert _counted(stage) == _indexed(stage) == 100
    assert 0 < _left_s(stage, b"a" * 100) < BLOB_TTL_S + 1


def test_renewing_never_shortens(store: BlobStore, stage: Backstage) -> None:
    store.put([b"a"], "file", DAY_S)
    (score,) = (score for _, score in stage.redis.zrange(stage.keys.payloads, 0, -1, withscores=True))
    store.put([b"a"], "file", 60)
    assert _left_s(stage, b"a") > DAY_S
    assert stage.redis.zscore(stage.keys.payloads, _member(b"a")) >= score


@pytest.mark.parametrize("short_first", [True, False])
def test_two_who_store_the_same_keep_it_for_the_longer_time(
    store: BlobStore, stage: Backstage, short_first: bool
) -> None:
    blob = Blob.of(b"a", "file")
    uploads = []
    for ttl_s in (60.0, DAY_S):
        goes_ms = store._missing([blob], ttl_s, reserve=True)[blob.sha256]
        uploads.append(([(blob, b"a", goes_ms)], ttl_s))
    for upload in uploads if short_first else reversed(uploads):
        store._upload(*upload)
    assert _left_s(stage, b"a") > DAY_S - 60
    assert _counted(stage) == 1


def test_room_that_was_reserved_by_one_who_died_is_not_taken_twice(store: BlobStore, stage: Backstage) -> None:
    _limit(stage, payload_bytes_max=100)
    store._missing([Blob.of(b"a" * 100, "file")], 60, reserve=True)
    store.put([b"a" * 100], "file", 60)
    assert (_counted(stage), _blobs(stage)) == (100, 1)


def test_a_payload_is_never_there_for_longer_than_it_is_counted(store: BlobStore, stage: Backstage) -> None:
    store.put([b"a"], "file", 60)
    goes_ms = stage.redis.zscore(stage.keys.payloads, _member(b"a"))
    assert stage.redis.pexpiretime(stage.keys.blob(Blob.of(b"a", "file").sha256)) == goes_ms


@pytest.mark.parametrize(("lost", "counted"), [("payload_bytes", 150), ("payloads", 50)])
def test_the_sum_heals(store: BlobStore, stage: Backstage, lost: str, counted: int) -> None:
    store.put([b"a" * 100], "file", 60)
    stage.redis.delete(getattr(stage.keys, lost))
    store.put([b"b" * 50], "file", 60)
    assert _counted(stage) == _indexed(stage) == counted


def test_the_index_and_its_sum_go_by_themselves(store: BlobStore, stage: Backstage) -> None:
    store.put([b"a"], "file", 60)
    for key in (stage.keys.payloads, stage.keys.payload_bytes):
        assert 0 < stage.redis.ttl(key) <= PAYLOADS_TTL_S


def test_a_redis_that_is_full_says_so_and_takes_nothing(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as server, Client(server.url, LONELY_TRACK) as client:
        stage = Backstage(server.url, LONELY_TRACK)
        client.submit(Ping())
        client.submit_ask("what?", [png()])
        indexed = _indexed(stage)
        stage.redis.config_set("maxmemory", 1)
        for images in ([], [png((9, 9, 9))], [png()]):
            with pytest.raises(RedisUnavailable, match="maxmemory"):
                client.submit_ask("what?", images)
        assert (_queued(stage), _blobs(stage)) == (2, 1)
        assert _indexed(stage) == _counted(stage) == indexed
        stage.redis.config_set("maxmemory", 0)
        client.submit_ask("what?", [png((9, 9, 9))])
        assert (_queued(stage), _blobs(stage)) == (3, 2)
        stage.redis.close()
