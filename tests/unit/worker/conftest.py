"""A real Redis for what the worker keeps there."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery.worker.control import Panel
from redis.backoff import NoBackoff
from redis.retry import Retry

from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_worker.settings import GPUResourceConfig


@pytest.fixture
def panel() -> Iterator[dict[str, Any]]:
    """Celery's remote control commands; they are the process's own, and what a test does to them is undone."""
    kept = dict(Panel.data)
    yield Panel.data
    Panel.data.clear()
    Panel.data.update(kept)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis.start(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def connection(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """A connection to a Redis that is empty."""
    with redis.Redis.from_url(server.url) as made:
        made.flushall()
        yield made


@pytest.fixture
def away() -> Iterator[redis.Redis]:
    """A connection that does not come about, and is tried once."""
    with redis.Redis(port=9, retry=Retry(NoBackoff(), 0)) as made:
        yield made


@pytest.fixture
def config(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> GPUResourceConfig:
    """The configuration of a worker at that Redis."""
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    return GPUResourceConfig.model_validate({"redis_url": server.url, "gpu": "none", "track": "unit"})
