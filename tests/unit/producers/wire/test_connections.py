"""The connections of a client: closed with it, made again when they die, and no business of the process."""

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from singletrack.aio.client import AsyncClient
from singletrack.client import Client
from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.requests.ping import Ping
from tests.unit.producers.conftest import TRACK, Backstage, wait_until
from tests.unit.producers.sample_images import png

CALLS: dict[str, Callable[[Client], object]] = {
    "ping": lambda c: c.ping(),
    "ask": lambda c: c.ask("what?", [png()]),
    "stream": lambda c: c.ask_stream("what?"),
    "embed": lambda c: c.embed_texts(["a"]),
    "embed images": lambda c: c.embed_images([png()]),
    "submit": lambda c: c.submit(Ping()),
    "status": lambda c: c.status(),
    "events": lambda c: list(c.events()),
    "record": lambda c: c.record(),
    "dead letters": lambda c: c.dead_letters(),
    "drop": lambda c: c.drop_all_dead(),
}


def _connections(stage: Backstage) -> set[str]:
    return {str(peer["id"]) for peer in stage.redis.client_list() if peer["name"] == "singletrack-client"}


def _kill(stage: Backstage, connections: set[str]) -> None:
    for connection in connections:
        stage.redis.client_kill_filter(_id=connection)


def test_a_closed_client_leaves_no_threads_and_no_connections(served: str, backstage: Backstage) -> None:
    threads, connections = threading.active_count(), _connections(backstage)
    with Client(served, TRACK) as client:
        client.ping(timeout_s=20)
        job = client.submit(Ping(), timeout_s=20)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(job.result).result()
        assert _connections(backstage) - connections
    assert threading.active_count() == threads
    wait_until(lambda: _connections(backstage) <= connections)


def test_connections_that_died_are_made_again(served: str, backstage: Backstage) -> None:
    others = _connections(backstage)
    with Client(served, TRACK) as client:
        client.ping(timeout_s=20)
        _kill(backstage, _connections(backstage) - others)
        assert client.ping(timeout_s=20).track == TRACK
        assert client.status().track == TRACK


def test_no_default_of_the_process_is_touched(
    served: str, backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults: list[float | None] = []
    monkeypatch.setattr(socket, "setdefaulttimeout", defaults.append)
    others = _connections(backstage)
    with Client(served, TRACK) as client:
        client.ping(timeout_s=20)
        _kill(backstage, _connections(backstage) - others)
        client.ping(timeout_s=20)
    assert defaults == []


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_a_client_that_was_closed_says_so(served: str, used: bool, call: str) -> None:
    client = Client(served, TRACK)
    if used:
        client.ping(timeout_s=60)
    client.close()
    with pytest.raises(InvalidRequest, match="this client was closed"):
        CALLS[call](client)
    client.close()


def test_the_jobs_of_a_client_that_was_closed_say_so_unless_their_end_is_known(served: str) -> None:
    with Client(served, TRACK) as client:
        known, unknown = (client.submit(Ping(), timeout_s=60) for _ in range(2))
        known.result()
    assert known.result().track == TRACK
    looks: list[Callable[[], object]] = [
        unknown.result,
        unknown.cancel,
        lambda: unknown.state,
        lambda: unknown.progress,
    ]
    for look in looks:
        with pytest.raises(InvalidRequest, match="this client was closed"):
            look()


def test_a_wait_during_which_the_client_is_closed_ends(served: str, backstage: Backstage) -> None:
    client = Client(served, TRACK)
    ran = len(backstage.ran)
    job = client.submit_ask("wait", timeout_s=120)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.result)
        wait_until(lambda: "ask" in backstage.ran[ran:])
        client.close()
        with pytest.raises(InvalidRequest, match="this client was closed"):
            waiting.result(120)
    with Client(served, TRACK) as other:
        other.submit(Ping(), job_id=job.id).cancel()


def test_an_asyncio_client_that_was_closed_says_so(served: str) -> None:
    async def work() -> None:
        async with AsyncClient(served, TRACK) as client:
            job = await client.submit(Ping(), timeout_s=60)
        with pytest.raises(InvalidRequest, match="this client was closed"):
            await client.ping()
        with pytest.raises(InvalidRequest, match="this client was closed"):
            await job.result()
        with pytest.raises(InvalidRequest, match="this client was closed"):
            await anext(client.events())
        with pytest.raises(InvalidRequest, match="this client was closed"):
            await client.ask_stream("what?").__aenter__()

    asyncio.run(work())
