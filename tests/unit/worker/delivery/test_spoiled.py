"""Spoiled messages through the real guard, a real inbox and Celery's own code: none is left in hand or put back."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery import Celery, current_app

from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.celery_tasks import register
from singletrack_worker.bootsteps import TASKS
from singletrack_worker.delivery import inbox as inboxes
from singletrack_worker.delivery import results
from singletrack_worker.delivery.held_task import HeldTask
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.scripts import Scripts
from tests.unit.worker.delivery.celerys_side import run
from tests.unit.worker.delivery.traffic import in_hand, queued, result
from tests.unit.worker.spoiled import REQUESTS, spoiled
from tests.unit.worker.track import KEYS

SEEDS = range(8)
EACH = 100
ENDED = {"SUCCESS", "FAILURE", "REVOKED"}


@pytest.fixture
def app(server: EmbeddedRedis) -> Iterator[Celery]:
    """The worker's tasks and results, on a GPU that has always done what it is asked for."""
    proxy: Any = current_app
    before = proxy._get_current_object()
    made: Any = Celery("spoiled", backend=f"{results.__name__}:TrackBackend+{server.url}", task_cls=HeldTask)
    made.conf.update(
        result_backend_transport_options={"global_keyprefix": KEYS.prefix}, accept_content=["json"], task_acks_late=True
    )
    gpu: Any = SimpleNamespace(run=lambda request, job: SimpleNamespace(dump=dict, summary="done"))
    register(made, lambda: gpu)
    made.set_current()
    try:
        yield made
    finally:
        before.set_current()
        made.backend.client.connection_pool.disconnect()
        made.close()


@pytest.fixture
def inbox(connection: redis.Redis) -> Iterator[Inbox]:
    connection.set(KEYS.fence, 1)
    made = Inbox(KEYS, Scripts(connection), host="here", tasks=TASKS)
    made.open(1)
    inboxes.provide(made)
    yield made
    inboxes.provide(None)


def test_what_is_spoiled_here_are_requests_of_the_contract() -> None:
    assert REQUESTS.keys() <= TASKS


@pytest.mark.parametrize("seed", SEEDS)
def test_every_message_ends_and_leaves_nothing(app: Celery, inbox: Inbox, connection: redis.Redis, seed: int) -> None:
    let_in = 0
    for data in spoiled(seed, EACH):
        connection.lpush(KEYS.queue, data)
        taken = inbox.take_now(1)
        assert taken == data
        envelope = inbox.admit(taken, 1)
        if envelope is not None:
            let_in += 1
            run(app, inbox, envelope)
            ended(connection, envelope.job_id, envelope.payload["headers"]["ignore_result"])
        assert (inbox.ready, in_hand(connection), queued(connection)) == (True, 0, []), data
    assert 0 < let_in < EACH


def ended(connection: redis.Redis, job_id: str, ignored: bool) -> None:
    """The job has a result, or an error that is one of ours."""
    meta = result(connection, job_id)
    if meta is None:
        assert ignored
        return
    assert meta["status"] in ENDED
    if meta["status"] == "FAILURE":
        told = meta["result"]
        assert told["exc_module"].startswith("singletrack_tasks"), json.dumps(meta)
        assert told["exc_type"] != "WorkerFailure", json.dumps(meta)
