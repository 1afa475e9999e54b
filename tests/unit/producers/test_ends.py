"""A job has one end: whoever was told how it ended is told the same for ever."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from singletrack.aio.client import AsyncClient
from singletrack.client import Client
from singletrack.job import Job, JobState
from singletrack.reading.worker_watch import WorkerWatch
from singletrack_tasks.errors import (
    DeadLettered,
    DeadlinePassed,
    InvalidConfiguration,
    JobCancelled,
    NotEnoughVram,
    NoWorker,
    RedisUnavailable,
    SingletrackError,
    WorkerFailure,
)
from singletrack_tasks.requests.ping import Ping, PingResult
from tests.unit.producers.conftest import LONELY_TRACK, TRACK, Backstage, wait_until

Told = SingletrackError | PingResult


def _failure(job_id: str, error: SingletrackError) -> str:
    result = {
        "exc_type": type(error).__name__,
        "exc_message": list(error.args),
        "exc_module": type(error).__module__,
    }
    return json.dumps(
        {"status": "FAILURE", "result": result, "task_id": job_id, "traceback": None, "children": []},
    )


def _fail(stage: Backstage, job_id: str, error: SingletrackError) -> None:
    stage.redis.set(stage.keys.result(job_id), _failure(job_id, error), ex=60)


def _wait_shortly(job: Job[PingResult], stage: Backstage) -> None:
    """Lets a worker be seen, and the time of the wait run out."""
    stage.redis.set(stage.keys.status, json.dumps({"taken_unix_s": stage.redis.time()[0]}), ex=60)
    with pytest.raises(DeadlinePassed):
        job.result(timeout_s=0.01)


ENDS: dict[str, tuple[Callable[[Job[PingResult], Backstage], object], JobState, type[Told]]] = {
    "a result": (lambda job, stage: stage.answer(job.id, {"track": "x"}), JobState.DONE, PingResult),
    "an error of the worker": (
        lambda job, stage: _fail(stage, job.id, NotEnoughVram("too big")),
        JobState.FAILED,
        NotEnoughVram,
    ),
    "a dead letter": (lambda job, stage: _fail(stage, job.id, DeadLettered("worn out")), JobState.FAILED, DeadLettered),
    "the worker's word of the deadline": (
        lambda job, stage: _fail(stage, job.id, DeadlinePassed("late")),
        JobState.EXPIRED,
        DeadlinePassed,
    ),
    "a result that cannot be read": (
        lambda job, stage: stage.answer(job.id, {"track": 7}),
        JobState.FAILED,
        WorkerFailure,
    ),
    "cancelled": (lambda job, stage: job.cancel(), JobState.CANCELLED, JobCancelled),
    "the time is up": (_wait_shortly, JobState.EXPIRED, DeadlinePassed),
    "no worker": (lambda job, stage: None, JobState.CANCELLED, NoWorker),
}


def _told(job: Job[PingResult]) -> Told:
    try:
        return job.result()
    except SingletrackError as error:
        return error


def _disturb(job: Job[PingResult], stage: Backstage) -> None:
    """Let Redis say something else, and nothing at all."""
    stage.answer(job.id, {"track": "something else"})


@pytest.mark.parametrize("first_asked", ["result", "state"])
@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_told_the_same_for_ever(
    lonely: Client, lonely_backstage: Backstage, end: str, first_asked: str
) -> None:
    bring_about, state, kind = ENDS[end]
    job = lonely.submit(Ping(), timeout_s=60)
    bring_about(job, lonely_backstage)
    if first_asked == "state" and end != "no worker":
        assert job.state is state
        _disturb(job, lonely_backstage)
    told = _told(job)
    assert type(told) is kind
    changes: list[Callable[[], None]] = [lambda: None, lambda: _disturb(job, lonely_backstage), job.cancel]
    for change in changes:
        change()
        assert (_told(job), job.state) == (told, state)
    lonely_backstage.redis.delete(lonely_backstage.keys.result(job.id))
    assert (_told(job), job.state) == (told, state)


def test_a_job_that_was_told_to_have_expired_has_expired(lonely: Client, lonely_backstage: Backstage) -> None:
    job = lonely.submit(Ping(), timeout_s=0.05)
    wait_until(lambda: job.state is JobState.EXPIRED)
    lonely_backstage.answer(job.id, {"track": "x"})
    assert job.state is JobState.EXPIRED
    assert isinstance(_told(job), DeadlinePassed)


def test_all_who_wait_are_told_the_same(client: Client) -> None:
    job = client.submit_ask("wait", timeout_s=120)
    wait_until(lambda: job.state is JobState.RUNNING)
    with ThreadPoolExecutor(3) as pool:
        patient = [pool.submit(job.result) for _ in range(2)]
        with pytest.raises(DeadlinePassed):
            job.result(timeout_s=0.1)
        for waiting in patient:
            assert isinstance(waiting.exception(120), DeadlinePassed)
    assert job.state is JobState.EXPIRED


def test_an_asyncio_client_tells_the_same_for_ever(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            job = await client.submit_ask("wait", timeout_s=120)
            for _ in range(2):
                with pytest.raises(DeadlinePassed):
                    await job.result(timeout_s=0.1)
            with pytest.raises(DeadlinePassed):
                await job.result()
            assert await job.state() is JobState.EXPIRED

    asyncio.run(work())


def test_a_job_that_could_not_be_cancelled_goes_on(
    lonely: Client, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = lonely.submit(Ping(), timeout_s=60)
    with monkeypatch.context() as away:
        away.setattr(job._link, "redis", None)
        away.setattr(type(job._link), "reaching", _away)
        with pytest.raises(RedisUnavailable):
            job.cancel()
    assert job.state is JobState.QUEUED
    lonely_backstage.answer(job.id, {"track": "x"})
    assert job.result().track == "x"


def _away(link: object) -> None:
    raise RedisUnavailable("Redis is away")


def _password_changes(stage: Backstage, password: str) -> None:
    stage.redis.config_set("requirepass", password)
    for peer in stage.redis.client_list():
        if peer["name"] == "singletrack-client":
            stage.redis.client_kill_filter(_id=peer["id"])


@pytest.fixture
def password(redis_url: str) -> str:
    return redis_url.partition("//:")[2].partition("@")[0]


def test_a_password_that_is_wrong_for_a_moment_is_borne(
    redis_url: str, lonely_backstage: Backstage, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles: list[SingletrackError] = []
    lost = WorkerWatch.lost

    def note(watch: WorkerWatch, error: RedisUnavailable | InvalidConfiguration) -> None:
        troubles.append(error)
        lost(watch, error)

    monkeypatch.setattr(WorkerWatch, "lost", note)
    with Client(redis_url, LONELY_TRACK, worker_grace_s=120) as client, ThreadPoolExecutor(1) as pool:
        job = client.submit(Ping(), timeout_s=120)
        waiting = pool.submit(job.result)
        lonely_backstage.redis.ping()
        try:
            _password_changes(lonely_backstage, "another")
            wait_until(lambda: any(isinstance(trouble, InvalidConfiguration) for trouble in troubles), 120)
            assert not waiting.done()
        finally:
            lonely_backstage.redis.config_set("requirepass", password)
        lonely_backstage.answer(job.id, {"track": "x"})
        assert waiting.result(120).track == "x"


def test_a_password_that_stays_wrong_ends_the_wait_and_not_the_job(
    redis_url: str, lonely_backstage: Backstage, password: str
) -> None:
    with Client(redis_url, LONELY_TRACK, worker_grace_s=0.5) as client:
        job = client.submit(Ping(), timeout_s=120)
        try:
            _password_changes(lonely_backstage, "another")
            with pytest.raises(InvalidConfiguration, match="does not accept the password"):
                job.result()
        finally:
            lonely_backstage.redis.config_set("requirepass", password)
        lonely_backstage.answer(job.id, {"track": "x"})
        assert job.result().track == "x"
