"""What lies in Redis for a worker, as its metrics look at it."""

import json
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import redis

from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.sight import backlog
from singletrack_worker.sight.backlog import TIMEOUT_S, BacklogReader
from tests.unit.worker.track import KEYS


@pytest.fixture
def reader(config: GPUResourceConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[BacklogReader]:
    """One that is patient: the Redis of these tests is there, and answers when the machine lets it."""
    monkeypatch.setattr(backlog, "TIMEOUT_S", 30.0)
    made = BacklogReader(config)
    yield made
    made.close()


def at(config: GPUResourceConfig, port: int) -> BacklogReader:
    return BacklogReader(
        GPUResourceConfig.model_validate(config.model_dump() | {"redis_url": f"redis://127.0.0.1:{port}"})
    )


def test_an_empty_track(reader: BacklogReader, connection: redis.Redis) -> None:
    found = reader.read()
    assert found is not None
    assert (found.survey.length, found.dead_letters, found.snapshot_age_s) == (0, 0, None)


def test_jobs_dead_letters_and_the_age_of_the_status(reader: BacklogReader, connection: redis.Redis) -> None:
    seconds, _ = connection.time()
    for age_s in (30, 20, 10):
        connection.lpush(KEYS.queue, json.dumps({"headers": {"task": "gpu.ping", "sent_unix_s": seconds - age_s}}))
    for _ in range(2):
        connection.xadd(KEYS.dead, {"letter": "{}"})
    connection.set(KEYS.status, f'{{"track":"unit","taken_unix_s":{seconds - 7}.5,"worker":{{}}}}')
    found = reader.read()
    assert found is not None
    assert (found.survey.length, found.dead_letters) == (3, 2)
    assert [job.kind for job in found.survey.waiting] == ["ping"] * 3
    assert found.survey.waiting[0].sent_unix_s == seconds - 30
    assert found.snapshot_age_s == pytest.approx(6.5 + found.now_unix_s - seconds)


@pytest.mark.parametrize("text", ["", "no status at all", '{"taken_unix_s": null}'])
def test_a_status_that_is_damaged_has_no_age(reader: BacklogReader, connection: redis.Redis, text: str) -> None:
    connection.set(KEYS.status, text)
    found = reader.read()
    assert found is not None
    assert found.snapshot_age_s is None


def test_a_redis_that_is_away_is_told_of_once(config: GPUResourceConfig, caplog: pytest.LogCaptureFixture) -> None:
    reader = at(config, 9)
    with caplog.at_level(logging.WARNING):
        assert [reader.read() for _ in range(3)] == [None, None, None]
    assert len(caplog.records) == 1
    reader.close()


def test_a_redis_that_says_nothing_is_given_up_soon(config: GPUResourceConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader = at(config, silent.getsockname()[1])
        read: list[object] = []
        thread = threading.Thread(target=lambda: read.append(reader.read()), daemon=True)
        thread.start()
        thread.join(TIMEOUT_S * 20)
        assert read == [None]
        reader.close()


def test_a_connection_that_was_closed_is_opened_again(reader: BacklogReader, connection: redis.Redis) -> None:
    assert reader.read() is not None
    for client in connection.client_list():
        if client["name"] == "singletrack-metrics":
            connection.client_kill_filter(_id=client["id"])
    assert reader.read() is not None
