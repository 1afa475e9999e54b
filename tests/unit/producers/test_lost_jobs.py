"""Jobs that disappear from Redis: their callers are told, and no others."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from singletrack.aio.client import AsyncClient
from singletrack.client import Client
from singletrack.job import Job, JobState
from singletrack.reading import whereabouts
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.errors import JobLost
from singletrack_tasks.keys import QUEUE
from singletrack_tasks.requests.embedding import EmbedTexts
from singletrack_tasks.requests.ping import Ping
from tests.unit.producers.conftest import LONELY_TRACK, Backstage, wait_until

TOKEN = "1764259200000"


@pytest.fixture
def patient(redis_url: str, lonely_backstage: Backstage) -> Iterator[Client]:
    """A client that does not mind that there is no worker."""
    with Client(redis_url, LONELY_TRACK, worker_grace_s=3600) as client:
        yield client


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look counts."""
    monkeypatch.setattr(whereabouts, "_EVERY_S", 0.0)
    monkeypatch.setattr(whereabouts, "_SEARCHED_EVERY_S", 0.0)
    monkeypatch.setattr(whereabouts, "_BETWEEN_LOOKS_S", 0.0)


def _purge(stage: Backstage, url: str) -> None:
    """As `celery purge` does it."""
    app = Celery("singletrack", broker=url, set_as_current=False)
    app.conf.update(broker_transport_options={"global_keyprefix": stage.keys.prefix}, task_default_queue=QUEUE)
    assert app.control.purge() == 1
    app.close()


def _take(stage: Backstage) -> None:
    """Take the next message as a worker does."""
    stage.redis.zadd(stage.keys.holders, {TOKEN: 1})
    assert stage.redis.lmove(stage.keys.queue, stage.keys.taken(TOKEN), "RIGHT", "LEFT")


def test_a_purge_is_told_to_those_who_wait(patient: Client, lonely_backstage: Backstage, redis_url: str) -> None:
    job = patient.submit(Ping(), timeout_s=3600)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.result)
        _purge(lonely_backstage, redis_url)
        with pytest.raises(JobLost, match="Send it again"):
            waiting.result(120)
    assert job.state is JobState.FAILED
    lonely_backstage.answer(job.id, {"track": "x"})
    with pytest.raises(JobLost):
        job.result()
    assert lonely_backstage.redis.exists(lonely_backstage.keys.cancel(job.id))


def test_the_state_tells_of_a_purge(patient: Client, lonely_backstage: Backstage, redis_url: str) -> None:
    job = patient.submit(Ping(), timeout_s=3600)
    assert job.state is JobState.QUEUED
    _purge(lonely_backstage, redis_url)
    wait_until(lambda: job.state is JobState.FAILED)
    with pytest.raises(JobLost):
        job.result()


def test_a_server_that_is_flushed_is_told_to_all_kinds_of_callers(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as server, redis.Redis.from_url(server.url) as peer:

        async def wait_async() -> None:
            async with AsyncClient(server.url, worker_grace_s=3600) as client:
                await client.ping(timeout_s=3600)

        with Client(server.url, worker_grace_s=3600) as client, ThreadPoolExecutor(4) as pool:
            stream = client.ask_stream("hello", timeout_s=3600)
            calls: list[Callable[[], Any]] = [
                lambda: client.ping(timeout_s=3600),
                lambda: client.embed_texts(["a"], timeout_s=3600),
                lambda: stream.answer,
                lambda: asyncio.run(wait_async()),
            ]
            waiting = [pool.submit(call) for call in calls]
            wait_until(lambda: peer.llen("singletrack:gpu0:gpu") == len(calls))
            peer.flushall()
            for call in waiting:
                assert isinstance(call.exception(120), JobLost)


def _look(job: Job[Any]) -> bool:
    return job._whereabouts.gone()


@pytest.mark.usefixtures("at_once")
def test_a_job_that_is_moved_meanwhile_is_there(patient: Client, lonely_backstage: Backstage) -> None:
    job = patient.submit(Ping(), timeout_s=3600)
    others = [patient.submit(Ping(), timeout_s=3600) for _ in range(20)]
    stage, over, moves = lonely_backstage, threading.Event(), []
    stage.redis.zadd(stage.keys.holders, {TOKEN: 1})

    def move() -> None:
        while not over.is_set():
            moves.append(stage.redis.lmove(stage.keys.queue, stage.keys.taken(TOKEN), "RIGHT", "LEFT"))
            stage.redis.lmove(stage.keys.taken(TOKEN), stage.keys.queue, "LEFT", "RIGHT")

    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(move)
        try:
            assert not any(_look(job) for _ in range(1000))
        finally:
            over.set()
        moving.result(120)
    assert len(moves) > 10
    assert not any(_look(other) for other in others)
    stage.redis.delete(stage.keys.taken(TOKEN), stage.keys.holders)


@pytest.mark.usefixtures("at_once")
def test_where_a_job_may_be(patient: Client, lonely_backstage: Backstage) -> None:
    stage = lonely_backstage
    job = patient.submit(Ping(), timeout_s=3600)
    assert not _look(job)
    _take(stage)
    assert not _look(job)
    stage.answer(job.id, {"track": "x"})
    stage.redis.delete(stage.keys.taken(TOKEN))
    assert not _look(job)
    stage.redis.delete(stage.keys.result(job.id))
    assert _look(job)
    patient.submit(Ping(), timeout_s=3600, job_id=job.id)
    assert not _look(job)
    stage.redis.delete(stage.keys.holders)


@pytest.mark.usefixtures("at_once")
def test_a_long_message_is_found_by_its_id(patient: Client, lonely_backstage: Backstage) -> None:
    texts = tuple(f"{n:04} " + "a" * 2000 for n in range(100))
    job = patient.submit(EmbedTexts(texts=texts), timeout_s=3600)
    for _ in range(60):
        patient.submit(Ping(), timeout_s=3600)
    assert not _look(job)
    lonely_backstage.redis.rpop(lonely_backstage.keys.queue)
    assert _look(job)


@pytest.mark.usefixtures("at_once")
def test_a_long_queue_is_searched_when_it_has_become_short(
    patient: Client, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whereabouts, "_SHORT", 20)
    monkeypatch.setattr(whereabouts, "_S_PER_SQUARE", 3600.0)
    stage = lonely_backstage
    job = patient.submit(Ping(), timeout_s=3600)
    for _ in range(30):
        patient.submit(Ping(), timeout_s=3600)
    assert not _look(job)
    stage.redis.rpop(stage.keys.queue)
    assert not _look(job)
    stage.redis.ltrim(stage.keys.queue, 0, 9)
    assert _look(job)
    assert _look(job)


def test_one_look_that_finds_nothing_proves_nothing(patient: Client, lonely_backstage: Backstage) -> None:
    job = patient.submit(Ping(), timeout_s=3600)
    place = whereabouts.Whereabouts(patient._link, job.id, job._handle[1].message)
    place._next_look_s = 0
    message = lonely_backstage.redis.rpop(lonely_backstage.keys.queue)
    assert not place.gone()
    lonely_backstage.redis.rpush(lonely_backstage.keys.queue, message)
    assert not place.gone()
    assert place._missed_since_s is None


@pytest.mark.usefixtures("at_once")
def test_a_job_that_the_worker_runs_is_not_lost(
    patient: Client, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = patient.submit(Ping(), timeout_s=3600)
    lonely_backstage.redis.delete(lonely_backstage.keys.queue)
    monkeypatch.setattr(Job, "_has_the_gpu", lambda *_: True)
    assert not job._gone(None)
    assert job.state is JobState.RUNNING
