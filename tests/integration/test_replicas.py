"""A Redis that writes only while it has replicas, and loses them: senders are told, the worker waits and goes on."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from singletrack import Client
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import start_worker
from singletrack_tasks.errors import RedisUnavailable
from singletrack_tasks.requests.ping import Ping
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import worker_environ

LIMIT_S = 120
# A worker that connects anew at each refusal does it many times a second.
LOOKS = 3


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis.start(tmp_path / "primary") as server:
        yield server


@pytest.fixture
def replica(tmp_path: Path, primary: EmbeddedRedis) -> Iterator[EmbeddedRedis]:
    """A real one, without which the primary refuses writes."""
    with EmbeddedRedis.start(tmp_path / "replica") as server, redis.Redis.from_url(primary.url) as connection:
        connection.config_set("min-replicas-to-write", 1)
        follow(server, primary)
        yield server


@pytest.fixture
def client(primary: EmbeddedRedis) -> Iterator[Client]:
    with Client(primary.url, "replicas", worker_grace_s=LIMIT_S) as made:
        yield made


@pytest.fixture
def worker(tmp_path: Path, primary: EmbeddedRedis, client: Client) -> Iterator[Child]:
    nothing = f"local-dir:{tmp_path / 'no-weights'}"
    environ = worker_environ(primary.url, "replicas", None, gpu="none", clip_weights=nothing, lock_dir=tmp_path)
    child = start_worker(tmp_path, environ, client)
    yield child
    child.stop(1)


def accepts_writes(primary: EmbeddedRedis) -> bool:
    """Whether enough replicas keep up with it."""
    with redis.Redis.from_url(primary.url) as connection:
        try:
            connection.set("written", "1")
        except redis.ResponseError:
            return False
        return True


def follow(server: EmbeddedRedis, primary: EmbeddedRedis) -> None:
    """Make one server a replica of the other, and wait until it keeps up."""
    at = urlsplit(primary.url)
    with redis.Redis.from_url(server.url) as connection:
        connection.config_set("masterauth", at.password or "")
        connection.execute_command("REPLICAOF", at.hostname, str(at.port))
    wait_for(lambda: accepts_writes(primary), "the replica keeps up", LIMIT_S)


def said(worker: Child, what: str) -> int:
    """How often a worker's log says it."""
    return worker.log_path.read_text(encoding="utf-8").count(what)


def test_without_its_replicas_senders_are_told_and_the_worker_waits(
    primary: EmbeddedRedis, replica: EmbeddedRedis, worker: Child, client: Client, tmp_path: Path
) -> None:
    client.ping(timeout_s=LIMIT_S)
    process = psutil.Process(worker.pid)
    process.suspend()
    waiting = client.submit(Ping(), timeout_s=LIMIT_S)
    replica.stop()
    process.resume()
    wait_for(lambda: not accepts_writes(primary), "the primary refuses writes", LIMIT_S)
    with pytest.raises(RedisUnavailable, match="min-replicas-to-write"):
        client.submit(Ping())
    refused = "could not publish the status: NOREPLICAS"
    wait_for(lambda: said(worker, refused) >= LOOKS, "the worker is refused for a while")
    assert said(worker, "Connection to broker lost") <= 1
    with EmbeddedRedis.start(tmp_path / "replica") as again:
        follow(again, primary)
        assert waiting.result().track == "replicas"
        assert client.ping(timeout_s=LIMIT_S).track == "replicas"
    assert worker.alive
