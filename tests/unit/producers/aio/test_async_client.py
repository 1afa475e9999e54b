"""The same over asyncio."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from singletrack.aio.client import AsyncClient
from singletrack.job import JobState
from singletrack_tasks.errors import InvalidRequest, JobCancelled, NotEnoughVram
from singletrack_tasks.events import WorkerStarted
from singletrack_tasks.status import ExecutionMode
from tests.unit.producers.conftest import LONELY_TRACK, TRACK, Backstage, wait_until
from tests.unit.producers.sample_images import noise


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def _status_for_ever(client: AsyncClient) -> None:
    while True:
        await client.status()


def test_the_methods_are_those_of_the_client(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            assert (await client.set_mode("IDLE")).after is ExecutionMode.IDLE
            assert (await client.ask("hello")).text == "hello"
            assert (await client.embed_texts(["a", "b"])).vectors.shape[0] == 2
            assert (await client.embed_images([noise(1)])).vectors.shape[0] == 1
            assert (await client.ensure_vlm_loaded()).state == "loaded"
            assert (await client.ensure_vlm_unloaded()).state == "unloaded"
            assert await client.clip_device() == "cpu"
            assert (await client.ping()).track == client.track
            assert (await client.status()).track == TRACK
            job = await client.submit_mode("RECORDING")
            assert (await job.result()).after is ExecutionMode.RECORDING
            assert await job.state() is JobState.DONE
            with pytest.raises(InvalidRequest):
                await client.ask("")
            with pytest.raises(NotEnoughVram):
                await client.ask("too big")

    _run(work())


def test_many_calls_run_at_once(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK, max_threads=4) as client:
            answers = await asyncio.gather(*(client.ask(f"number {n}") for n in range(12)))
            assert [answer.text for answer in answers] == [f"number {n}" for n in range(12)]

    _run(work())


def test_cancelling_the_task_cancels_the_job(served: str, backstage: Backstage) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            ran = len(backstage.ran)
            call = asyncio.create_task(client.ask("wait", timeout_s=60))
            await asyncio.to_thread(wait_until, lambda: backstage.ran[ran:] == ["ask"])
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await client.ping(timeout_s=20)).track == TRACK

    _run(work())


def test_a_call_that_is_given_up_while_the_client_closes_is_called_off(served: str, backstage: Backstage) -> None:
    async def work() -> None:
        client = AsyncClient(served, TRACK)
        ran = len(backstage.ran)
        call = asyncio.create_task(client.ask("wait", timeout_s=60))
        await asyncio.to_thread(wait_until, lambda: backstage.ran[ran:] == ["ask"])
        closing = asyncio.create_task(client.close())
        with pytest.raises(InvalidRequest, match="was closed"):
            await _status_for_ever(client)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await closing

    before = set(backstage.redis.scan_iter(backstage.keys.cancel("*")))
    _run(work())
    assert len(set(backstage.redis.scan_iter(backstage.keys.cancel("*"))) - before) == 1


def test_a_call_that_never_got_a_thread_is_told_that_the_client_was_closed(served: str, backstage: Backstage) -> None:
    async def work() -> None:
        client = AsyncClient(served, TRACK, max_threads=1)
        ran = len(backstage.ran)
        call, waiting = (asyncio.create_task(client.ask("wait", timeout_s=60)) for _ in range(2))
        await asyncio.to_thread(wait_until, lambda: backstage.ran[ran:] == ["ask"])
        closing = asyncio.create_task(client.close())
        with pytest.raises(InvalidRequest, match="was closed"):
            await waiting
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await closing

    _run(work())


def test_cancelling_the_wait_for_a_submitted_job_cancels_it(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            job = await client.submit_ask("wait", timeout_s=60)
            waiting = asyncio.create_task(job.result())
            while await job.state() is not JobState.RUNNING:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(JobCancelled):
                await job.result()

    _run(work())


def test_a_wait_that_never_got_a_thread_cancels_the_job_too(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK, max_threads=1) as client:
            job = await client.submit_ask("wait", timeout_s=60)
            first, second = (asyncio.create_task(job.result()) for _ in range(2))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            with pytest.raises(JobCancelled):
                await first

    _run(work())


def test_a_job_can_be_cancelled_by_hand(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            job = await client.submit_ask("wait", timeout_s=60)
            await job.cancel()
            with pytest.raises(JobCancelled):
                await job.result()

    _run(work())


def test_events_are_followed(redis_url: str, lonely_backstage: Backstage) -> None:
    event = WorkerStarted(at_unix_s=1.0, host="here", pid=1)

    async def work() -> None:
        async with AsyncClient(redis_url, LONELY_TRACK) as client:
            lonely_backstage.redis.xadd(lonely_backstage.keys.events, {"event": event.model_dump_json()})
            assert [found async for _, found in client.events()] == [event]
            assert [found async for _, found in client.events(follow=True, timeout_s=0.2)] == [event]
            assert [found async for _, found in client.events(follow=True, timeout_s=1e-9)] == [event]
            with pytest.raises(InvalidRequest):
                await anext(client.events("yesterday"))

    _run(work())
