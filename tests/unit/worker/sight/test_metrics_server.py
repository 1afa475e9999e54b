"""The metrics over HTTP: served where the settings say so, and never in a worker's way."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from singletrack_ops.local.http_probe import get_text
from singletrack_ops.local.loopback import free_port
from singletrack_tasks.status import GPUResourceStatus
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.sight import backlog
from singletrack_worker.sight.backlog import Backlog
from singletrack_worker.sight.metrics_server import FRESH_S, MetricsServer, StatusCache
from tests.addresses import SILENT_REDIS
from tests.fakes import FakeClock
from tests.unit.worker.sight.exposition import Exposition
from tests.unit.worker.sight.test_metrics import ASKED, BACKLOG, STATUS


def served_at(config: GPUResourceConfig, **settings: Any) -> MetricsServer:
    return MetricsServer(GPUResourceConfig.model_validate(config.model_dump() | settings))


def status() -> GPUResourceStatus:
    return STATUS


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def serving(
    config: GPUResourceConfig, connection: redis.Redis, port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MetricsServer]:
    """One whose Redis is there, and answers when the machine lets it."""
    monkeypatch.setattr(backlog, "TIMEOUT_S", 30.0)
    made = served_at(config, metrics_port=port)
    made.start(status)
    yield made
    made.stop()


def scrape(port: int) -> Exposition:
    text = get_text(f"http://127.0.0.1:{port}/metrics", 60)
    assert text is not None
    return Exposition(text)


def test_counts_and_states_are_served_together(serving: MetricsServer, port: int) -> None:
    serving.metrics.ended(ASKED)
    seen = scrape(port)
    assert seen.value("operations_total", "unit", kind="ask", outcome="ok") == 1
    assert seen.holding("mode", STATUS.track) == {"RECORDING"}
    assert seen.value("redis_reachable", STATUS.track) == 1


def test_it_listens_on_loopback_alone(serving: MetricsServer, port: int) -> None:
    # A server that listens on all addresses would answer on this one, where the system has it.
    assert get_text(f"http://127.0.0.2:{port}/metrics", 1) is None
    assert serving._served is not None
    assert serving._served[0].server_address[0] == "127.0.0.1"


def test_it_ends_and_ends_again(serving: MetricsServer, port: int) -> None:
    assert serving._served is not None
    _, thread = serving._served
    serving.stop()
    assert get_text(f"http://127.0.0.1:{port}/metrics", 1) is None
    assert not thread.is_alive()
    serving.stop()


def test_port_0_serves_nothing(config: GPUResourceConfig) -> None:
    server = served_at(config, metrics_port=0)
    server.start(status)
    assert server._served is None
    server.metrics.ended(ASKED)
    server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "no..name", "203.0.113.1"])
def test_where_it_cannot_listen_it_names_the_setting_and_goes_on(
    config: GPUResourceConfig, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, caplog.at_level(logging.WARNING):
        server = served_at(config, metrics_host=host, metrics_port=taken.getsockname()[1])
        server.start(status)
        server.metrics.ended(ASKED)
        server.stop()
    (record,) = caplog.records
    assert "SINGLETRACK_METRICS_PORT" in record.getMessage()
    assert host in record.getMessage()
    assert record.exc_info is None


def test_a_storm_of_scrapes_looks_once() -> None:
    looks: list[str] = []
    clock = FakeClock()

    def see() -> GPUResourceStatus:
        looks.append("status")
        return STATUS

    def survey() -> Backlog:
        looks.append("backlog")
        return BACKLOG

    look = StatusCache(see, survey, clock.monotonic)
    assert [look() for _ in range(50)] == [(STATUS, BACKLOG)] * 50
    assert looks == ["status", "backlog"]
    clock.advance(FRESH_S)
    look()
    assert looks == ["status", "backlog"] * 2


def test_what_redis_knows_is_left_out_while_it_is_away(config: GPUResourceConfig, port: int) -> None:
    server = served_at(config, metrics_port=port, redis_url=SILENT_REDIS)
    server.start(status)
    try:
        seen = scrape(port)
    finally:
        server.stop()
    assert seen.value("redis_reachable", STATUS.track) == 0
    assert not seen.has("queue_length")
    assert seen.has("vram_used_bytes")
