"""A Redis that cannot be reached, refuses us, or goes away."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from singletrack.client import Client
from singletrack.wire.redis_errors import unavailable
from singletrack.wire.settings import address
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable
from singletrack_tasks.requests.ping import Ping
from tests.addresses import SILENT_PORT
from tests.unit.producers.sample_images import png

CALLS: list[Callable[[Client], object]] = [
    lambda c: c.ping(timeout_s=5),
    lambda c: c.ask("what?", [png()], timeout_s=5),
    lambda c: c.embed_texts(["a"], timeout_s=5),
    lambda c: c.status(),
    lambda c: list(c.events()),
    lambda c: c.submit(Ping()),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_address_says_what_to_do(call: Callable[[Client], object]) -> None:
    with (
        Client(f"redis://:hunter2@127.0.0.1:{SILENT_PORT}/0") as client,
        pytest.raises(RedisUnavailable, match="SINGLETRACK_REDIS_URL") as caught,
    ):
        call(client)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_password_says_what_to_do(redis_url: str, call: Callable[[Client], object]) -> None:
    place = redis_url.rpartition("@")[2]
    with (
        Client(f"redis://:hunter2@{place}") as client,
        pytest.raises(InvalidConfiguration, match="does not accept the password") as caught,
    ):
        call(client)
    assert "hunter2" not in str(caught.value)


def test_a_missing_password_says_what_to_do(redis_url: str) -> None:
    place = redis_url.rpartition("@")[2]
    with Client(f"redis://{place}") as client, pytest.raises(InvalidConfiguration) as caught:
        client.ping(timeout_s=5)
    advice = "asks for a password. Put it into SINGLETRACK_REDIS_URL: redis://:PASSWORD@HOST:6379/0."
    assert str(caught.value) == f"Redis at {address(redis_url)} {advice}"


def test_a_redis_that_goes_away_during_a_wait_is_noticed(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as server, Client(server.url, worker_grace_s=1) as client:
        job = client.submit(Ping(), timeout_s=60)
        server.stop()
        with pytest.raises(RedisUnavailable, match="cannot be reached"):
            job.result()
        with pytest.raises(RedisUnavailable):
            client.ping(timeout_s=5)


def test_a_redis_that_comes_back_is_found_again(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as server, Client(server.url, worker_grace_s=30) as client:
        job = client.submit(Ping(), timeout_s=60)
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        server.stop()
        with EmbeddedRedis.start(tmp_path, port=port) as again:
            assert again.url == server.url
            meta = f'{{"status": "SUCCESS", "result": {{"track": "gpu0"}}, "task_id": "{job.id}", "children": []}}'
            with redis.Redis.from_url(again.url) as peer:
                peer.set(f"singletrack:gpu0:celery-task-meta-{job.id}", meta, ex=60)
            assert job.result().track == "gpu0"
            assert client.submit(Ping(), timeout_s=60).state == "queued"


def test_a_deadline_that_passes_without_redis_blames_redis(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as server, Client(server.url, worker_grace_s=30) as client:
        job = client.submit(Ping(), timeout_s=1)
        server.stop()
        with pytest.raises(RedisUnavailable, match="cannot be reached"):
            job.result()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (redis.exceptions.OutOfMemoryError("OOM command not allowed"), "maxmemory"),
        (redis.exceptions.BusyLoadingError("loading"), "moment"),
        (redis.exceptions.TimeoutError("slow"), "firewall"),
        (redis.exceptions.ResponseError("READONLY You can't write"), "to the primary"),
        (redis.exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "min-replicas-to-write"),
        # From a script, before 7.0.
        (redis.exceptions.ResponseError("Error running script: -NOREPLICAS Not enough"), "min-replicas-to-write"),
        (OSError("no route to host"), "no route"),
    ],
)
def test_every_trouble_has_its_advice(error: Exception, advice: str) -> None:
    trouble = unavailable("redis://:hunter2@host/0", error)
    assert isinstance(trouble, RedisUnavailable)
    assert advice in str(trouble)


@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_replica_is_called_one(tmp_path: Path, stale: str) -> None:
    with EmbeddedRedis.start(tmp_path) as server, Client(server.url) as client:
        with redis.Redis.from_url(server.url) as admin:
            admin.config_set("replica-serve-stale-data", stale)
            admin.replicaof("127.0.0.1", SILENT_PORT)
        with pytest.raises(RedisUnavailable, match="set SINGLETRACK_REDIS_URL to the primary"):
            client.submit(Ping())


def test_a_user_who_may_not_is_not_worth_another_try() -> None:
    trouble = unavailable("redis://:hunter2@host/0", redis.exceptions.NoPermissionError("no LPUSH"))
    assert isinstance(trouble, InvalidConfiguration)
    assert "ACL" in str(trouble)
