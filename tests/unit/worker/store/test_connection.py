"""The worker's own connection."""

import time
from typing import Any

import pytest

from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.errors import RedisUnavailable
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.store.connection import connect, server_time_unix_s
from tests.addresses import SILENT_REDIS


def with_url(config: GPUResourceConfig, url: str) -> GPUResourceConfig:
    return GPUResourceConfig.model_validate(config.model_dump() | {"redis_url": url})


def test_it_connects_and_speaks_bytes(config: GPUResourceConfig) -> None:
    with connect(config) as client:
        client.set("unit", b"\x00\xff", ex=60)
        assert client.get("unit") == b"\x00\xff"


def test_a_server_that_is_down_is_named_with_what_to_do(config: GPUResourceConfig) -> None:
    with pytest.raises(RedisUnavailable, match=r"Check SINGLETRACK_REDIS_URL.*password"):
        connect(with_url(config, SILENT_REDIS))


def test_a_wrong_password_is_told_and_not_shown(config: GPUResourceConfig, server: EmbeddedRedis) -> None:
    with pytest.raises(RedisUnavailable, match="password") as caught:
        connect(with_url(config, f"redis://:wr0ng@{server.url.partition('@')[2]}"))
    assert "wr0ng" not in str(caught.value)
    assert ".." not in str(caught.value)


def test_the_time_is_the_servers(config: GPUResourceConfig) -> None:
    with connect(config) as client:
        before: Any = client.time()
        asked_s = time.monotonic()
        told_unix_s = server_time_unix_s(client)
        took_s = time.monotonic() - asked_s
        after: Any = client.time()
    # Right to half a round trip: the way there may have taken all of it, and the next one nothing.
    assert _seconds(before) <= told_unix_s <= _seconds(after) + took_s / 2


def _seconds(told: tuple[int, int]) -> float:
    return told[0] + told[1] / 1e6
