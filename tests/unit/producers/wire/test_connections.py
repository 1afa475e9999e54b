"""The connections of a client: closed with it, made again when they die, and no business of the process."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from singletrack.client import Client
from singletrack_tasks.requests.ping import Ping
from tests.unit.producers.conftest import TRACK, Backstage, wait_until


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
