"""The clock that all share is set while a worker serves: no job pays for it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from singletrack import Client, JobState
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_tasks.keys import Keys
from tests.integration.ops.waiting import wait_for
from tests.integration.stepped_redis import SteppedRedis, stepped_redis
from tests.integration.worker_tools import in_flight, running_worker, submit_endless, worker_environ

pytestmark = pytest.mark.ollama

TRACK = "clock"
HOUR_S = 3600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SteppedRedis]:
    with stepped_redis(tmp_path_factory.mktemp("stepped")) as running:
        yield running


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, server: SteppedRedis, ollama: EmbeddedOllama, tiny_clip: Path
) -> Iterator[Client]:
    """A client of a worker, and both have read the clock."""
    environ = worker_environ(server.url, TRACK, ollama, gpu="none", clip_weights=f"local-dir:{tiny_clip}")
    with running_worker(tmp_path_factory.mktemp("clock"), environ) as (_, made):
        yield made


def snapshots_after(server: SteppedRedis, step_s: int, count: int = 3) -> list[float]:
    """Set the clock; returns when the next few statuses were taken, each as Redis has it."""
    seen: list[float] = []
    with redis.Redis.from_url(server.url) as connection:

        def taken_unix_s() -> float:
            return float(json.loads(connection.get(Keys(TRACK).status) or b"{}")["taken_unix_s"])

        seen.append(taken_unix_s())
        server.step(step_s)

        def enough() -> bool:
            if (taken := taken_unix_s()) != seen[-1]:
                seen.append(taken)
            return len(seen) > count

        wait_for(enough, "the worker publishes")
    return seen[1:]


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_the_next_status_but_one_is_dated_by_the_new_time(server: SteppedRedis, client: Client, step_s: int) -> None:
    taken = snapshots_after(server, step_s)
    wrong = [unix_s for unix_s in taken if abs(unix_s - server.time_unix_s()) > HOUR_S / 2]
    assert len(wrong) <= 1, "one may have been on its way"
    assert client.status().age_s is not None


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, 20, -20])
def test_no_job_is_given_up_for_it(server: SteppedRedis, client: Client, step_s: int) -> None:
    endless = submit_endless(client, timeout_s=280)
    waiting = client.submit_ask("hello", options={"max_tokens": 1}, timeout_s=180)
    snapshots_after(server, step_s)
    assert in_flight(client) == endless.id
    assert endless.state is JobState.RUNNING
    endless.cancel()
    assert waiting.result().text is not None


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_what_is_sent_right_after_it_has_its_time(server: SteppedRedis, client: Client, step_s: int) -> None:
    assert client.ping(timeout_s=60).track == TRACK
    server.step(step_s)
    with Client(server.url, TRACK) as another:
        assert another.ping(timeout_s=60).track == TRACK
    assert client.ping(timeout_s=60).track == TRACK
