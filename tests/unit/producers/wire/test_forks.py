"""Clients that exist before a fork, as in a module of an agent: they work in the parent and in its children."""

import asyncio
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from inspect import getattr_static
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.backends.redis import RedisBackend

from singletrack.aio.client import AsyncClient
from singletrack.client import Client
from singletrack.job import JobState
from singletrack.wire.transport import ClientChannel
from singletrack_tasks.requests.ping import Ping
from tests.unit.producers.conftest import ROOT, TRACK, Backstage, stop, wait_until
from tests.unit.producers.forked import Fork, by_hand, by_multiprocessing


def _use(client: Client) -> None:
    assert client.ping(timeout_s=60).track == TRACK
    assert client.ask("hello", timeout_s=60).text == "hello"
    assert client.embed_texts([str(uuid.uuid4())], timeout_s=60).cached == 0
    assert client.status().track == TRACK


FORKS = pytest.mark.parametrize("fork", [by_hand, by_multiprocessing])
BEFORE: dict[str, Callable[[Client], object]] = {
    "unused": lambda client: None,
    "used": _use,
    "used to look": lambda client: client.status(),
}


async def _use_async(client: AsyncClient) -> None:
    assert (await client.ask("hello", timeout_s=60)).text == "hello"
    await asyncio.gather(*(client.ping(timeout_s=60) for _ in range(3)))


@contextmanager
def _in_the_middle_of_a_call(client: Client, backstage: Backstage) -> Iterator[None]:
    """Another thread waits for an answer meanwhile, and gets it in the end."""
    ran = len(backstage.ran)
    job = client.submit_ask("wait", timeout_s=120)
    late = client.submit_ask("late", timeout_s=120)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(late.result)
        wait_until(lambda: "ask" in backstage.ran[ran:])
        try:
            yield
        finally:
            job.cancel()
        assert waiting.result(120).text == "late"


@FORKS
@pytest.mark.parametrize("before", BEFORE)
def test_a_client_works_in_parent_and_child(served: str, fork: Fork, before: str) -> None:
    with Client(served, TRACK) as client:
        BEFORE[before](client)
        fork(lambda: _use(client))
        _use(client)
        fork(lambda: _use(client))


@FORKS
def test_a_child_that_is_forked_in_the_middle_of_a_call_has_its_own(
    served: str, backstage: Backstage, fork: Fork
) -> None:
    with Client(served, TRACK) as client:

        def work() -> None:
            job = client.submit(Ping(), timeout_s=120)
            assert job.state is JobState.QUEUED
            assert client.status().track == TRACK
            job.cancel()

        with _in_the_middle_of_a_call(client, backstage):
            fork(work)
        _use(client)


LOCKS: dict[str, Callable[[Client], Any]] = {
    "the client's": lambda client: client._sender._lock,
    "Celery's, of all its backends": lambda client: getattr_static(RedisBackend, "client").lock,
    "kombu's, of all its channels": lambda client: getattr_static(ClientChannel, "client").lock,
}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_that_another_thread_holds_is_not_waited_for(served: str, lock: str) -> None:
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with LOCKS[lock](client):
            held.set()
            over.wait(120)

    with Client(served, TRACK) as client, ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        held.wait(120)
        try:
            by_hand(lambda: _use(client))
        finally:
            over.set()


@FORKS
def test_a_child_of_a_child_works_too(served: str, fork: Fork) -> None:
    with Client(served, TRACK) as client:
        _use(client)

        def work() -> None:
            _use(client)
            by_hand(lambda: _use(client))
            _use(client)

        fork(work)


@FORKS
def test_a_job_that_was_sent_before_is_waited_for_on_both_sides(served: str, fork: Fork) -> None:
    with Client(served, TRACK) as client:
        job = client.submit_ask("hello", timeout_s=60)

        def work() -> None:
            assert job.result().text == "hello"
            assert job.state is JobState.DONE

        fork(work)
        assert job.result().text == "hello"


def test_an_answer_is_read_on_both_sides_and_the_child_does_not_call_it_off(served: str) -> None:
    with Client(served, TRACK) as client, client.ask_stream("one two three", timeout_s=60) as stream:
        read = "".join(piece.text for piece in stream)

        def read_all() -> None:
            with stream:
                assert stream.answer.text == "one two three"

        by_hand(read_all)
        assert read == "one two three"
    with Client(served, TRACK) as client, client.ask_stream("wait", timeout_s=60) as stream:
        by_hand(stream.close)
        assert stream.job.state is not JobState.CANCELLED
        other = client.ask_stream("four five", timeout_s=60)
        stream.close()

        def read_the_other() -> None:
            assert other.answer.text == "four five"

        by_hand(read_the_other)
        assert other.answer.text == "four five"


def test_a_child_that_closes_its_client_leaves_the_parents_alone(served: str) -> None:
    with Client(served, TRACK) as client:
        job = client.submit(Ping(), timeout_s=60)
        by_hand(client.close)
        assert job.result().track == TRACK
        _use(client)


@FORKS
@pytest.mark.parametrize("used", [False, True])
def test_an_asyncio_client_works_in_parent_and_child(served: str, fork: Fork, used: bool) -> None:
    client = AsyncClient(served, TRACK)
    if used:
        asyncio.run(_use_async(client))
    fork(lambda: asyncio.run(_use_async(client)))
    asyncio.run(_use_async(client))
    asyncio.run(client.close())


def test_an_asyncio_client_in_the_middle_of_a_call_works_in_a_child(served: str, backstage: Backstage) -> None:
    client = AsyncClient(served, TRACK, max_threads=1)

    async def work() -> None:
        assert (await client.status()).track == TRACK
        job = await client.submit(Ping(), timeout_s=120)
        await job.cancel()

    async def fork_meanwhile() -> None:
        ran = len(backstage.ran)
        call = asyncio.create_task(client.ask("wait", timeout_s=120))
        await asyncio.to_thread(wait_until, lambda: "ask" in backstage.ran[ran:])
        await asyncio.to_thread(by_hand, lambda: asyncio.run(work()))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await _use_async(client)
        await client.close()

    asyncio.run(fork_meanwhile())


def test_an_agents_own_celery_processes_can_use_a_client_of_their_module(served: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "celery", "-A", "tests.unit.producers.agent_app", "worker", "--pool=prefork"]
    log = tmp_path / "log"
    agent = Celery("agent", broker=served, backend=served, set_as_current=False)
    agent.conf.update(
        broker_transport_options={"global_keyprefix": "agent:"},
        result_backend_transport_options={"global_keyprefix": "agent:"},
    )
    with log.open("wb") as stream:
        worker = subprocess.Popen(
            [*command, "-c2", "-lWARNING"],
            cwd=ROOT,
            stdout=stream,
            stderr=stream,
            env=os.environ | {"SINGLETRACK_REDIS_URL": served, "SINGLETRACK_TRACK": TRACK},
        )
    try:
        sent = [agent.send_task("tests.unit.producers.agent_app.ask", [f"number {n}"]) for n in range(4)]
        told = [result.get(timeout=120) for result in sent]
    except Exception as error:
        raise AssertionError(log.read_text()) from error
    finally:
        worker.terminate()
        worker.wait(120)
        stop(worker)
    assert [text for _, text in told] == [f"number {n}" for n in range(4)]
    assert all(process != worker.pid for process, _ in told)
