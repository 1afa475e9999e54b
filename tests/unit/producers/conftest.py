"""A real Redis and a real Celery worker for the client to talk to."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from singletrack.client import Client
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.errors import NoWorker
from singletrack_tasks.keys import Keys
from tests.unit.producers.cli.shell import Shell

TRACK = "served"
LONELY_TRACK = "lonely"
ROOT = Path(__file__).parents[3]


def wait_until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait for a condition; fails after `limit_s`."""
    until_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until_s, "the condition did not come about in time"
        threading.Event().wait(0.02)


class Backstage:
    """What lies in Redis behind the client's back."""

    def __init__(self, url: str, track: str) -> None:
        self.redis: Any = redis.Redis.from_url(url)
        self.keys = Keys(track)

    @property
    def ran(self) -> list[str]:
        """The operations that the worker has run."""
        return [kind.decode() for kind in self.redis.lrange(f"{self.keys.track}:ran", 0, -1)]

    @property
    def traces(self) -> tuple[int, int, int]:
        """How many jobs wait, how many ran, how many payloads are there."""
        blobs = sum(1 for _ in self.redis.scan_iter(self.keys.blob("*"), count=1000))
        return self.redis.llen(self.keys.queue), len(self.ran), blobs

    def clear(self) -> None:
        """Take away what a test may have left for a client to find."""
        keys = self.keys
        self.redis.delete(keys.queue, keys.status, keys.events, keys.dead, keys.limits, keys.suspects)

    def answer(self, job_id: str, result: dict[str, Any]) -> None:
        """Have a job end with this result, as a worker would."""
        meta = {"status": "SUCCESS", "result": result, "task_id": job_id, "children": []}
        self.redis.set(self.keys.result(job_id), json.dumps(meta), ex=60)

    def set_fingerprint(self, fingerprint: str) -> None:
        self.redis.set(f"{self.keys.track}:fingerprint", fingerprint)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedRedis.start(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


def start_worker(url: str, track: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a worker in a process of its own; returns when its status is there."""
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.producers.small_worker", url, track],
            cwd=ROOT,
            stdout=stream,
            stderr=stream,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    with Client(url, track) as client:
        try:
            wait_until(lambda: _serves(client, worker, log), 60)
        except BaseException:
            stop(worker)
            raise
    return worker


def _serves(client: Client, worker: subprocess.Popen[bytes], log: Path) -> bool:
    assert worker.poll() is None, log.read_text()
    try:
        client.status()
    except NoWorker:
        return False
    return True


def stop(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()


@pytest.fixture(scope="session")
def served(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis with a worker on the track TRACK."""
    worker = start_worker(redis_url, TRACK, tmp_path_factory.mktemp("worker") / "log")
    yield redis_url
    stop(worker)


@pytest.fixture
def client(served: str) -> Iterator[Client]:
    with Client(served, TRACK) as client:
        yield client


@pytest.fixture
def lonely(redis_url: str, lonely_backstage: Backstage) -> Iterator[Client]:
    """A client of a track without a worker."""
    with Client(redis_url, LONELY_TRACK, worker_grace_s=0.5) as client:
        yield client


@pytest.fixture
def backstage(served: str) -> Iterator[Backstage]:
    stage = Backstage(served, TRACK)
    yield stage
    stage.redis.close()


@pytest.fixture
def lonely_backstage(redis_url: str) -> Iterator[Backstage]:
    """Behind a track without a worker, on which nothing lies: not for this test, and not for the next."""
    stage = Backstage(redis_url, LONELY_TRACK)
    stage.clear()
    yield stage
    stage.clear()
    stage.redis.close()


@pytest.fixture
def shell(served: str) -> Shell:
    return Shell(served, TRACK)


@pytest.fixture
def lonely_shell(redis_url: str, lonely_backstage: Backstage) -> Shell:
    return Shell(redis_url, LONELY_TRACK)
