"""Celery's remote control of a real worker: nothing that is sent there holds the track up."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery

from singletrack import Client
from singletrack_ops.stack import Stack
from singletrack_tasks.keys import Keys
from singletrack_worker.remote_control import COMMANDS
from tests.integration.worker_tools import foreign_producer, inspected

pytestmark = pytest.mark.ollama

# What `celery control` and Flower send along.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "add_consumer": {"queue": "another"},
    "autoscale": {"max": 4, "min": 1},
    "cancel_consumer": {"queue": "gpu"},
    "election": {"id": "1", "topic": "leader"},
    "gpu_cancel": {"job_id": "none"},
    "gpu_record": {"request_id": "none"},
    "hello": {"from_node": "celery@another", "revoked": ["job"]},
    "pool_grow": {"n": 2},
    "pool_shrink": {"n": 1},
    "query_task": {"ids": ["none"]},
    "rate_limit": {"task_name": "gpu.ping", "rate_limit": "1/h"},
    "revoke": {"task_id": "none", "terminate": True, "signal": "KILL"},
    "revoke_by_stamped_headers": {"headers": {"a": "b"}, "terminate": True},
    "terminate": {"task_id": "none", "signal": "KILL"},
    "time_limit": {"task_name": "gpu.ping", "hard": 0.001, "soft": 0.001},
}
NO_MESSAGE = {
    "no JSON": b"nonsense",
    "bytes": b"\xff\xfe",
    "a list": b"[1]",
    "an object": b'{"a": 1}',
    "a number for a body": b'{"body": 5, "properties": {"delivery_tag": "x", "delivery_info": {}}}',
    "no headers": b'{"body": "x", "properties": {}}',
    "properties that are a list": b'{"body": "x", "properties": [1], "headers": {}}',
    "nested too deep": b"[" * 100_000,
}
# It would take the worker away from the other tests; `Stack` and the stack's tests end workers.
SENT = sorted(COMMANDS.keys() - {"shutdown"})


@pytest.fixture
def producer(client: Client, stack: Stack) -> Iterator[Celery]:
    with foreign_producer(stack.redis_url, client.track) as app:
        yield app


def reply(producer: Celery, command: str) -> Any:
    found = producer.control.broadcast(command, arguments=ARGUMENTS.get(command), reply=True, timeout=60, limit=1)
    assert found, f"no reply to {command}"
    (answer,) = found[0].values()
    return answer


@pytest.mark.parametrize("command", SENT)
def test_every_command_is_answered_and_the_track_goes_on(client: Client, producer: Celery, command: str) -> None:
    answer = reply(producer, command)
    if COMMANDS[command].how == "refused":
        assert answer == {"error": f"a GPU worker refuses {command}: {COMMANDS[command].why}"}
    else:
        assert not isinstance(answer, dict) or "error" not in answer
    # Two: a rate limit lets one through.
    assert [client.ping().track for _ in range(2)] == [client.track] * 2


@pytest.mark.parametrize("kind", NO_MESSAGE)
def test_what_is_no_message_ends_no_worker(client: Client, stack: Stack, producer: Celery, kind: str) -> None:
    before = client.status().worker.pid
    with redis.Redis.from_url(stack.redis_url) as connection:
        heard: Any = connection.publish(f"{Keys(client.track).prefix}/0.celery.pidbox", NO_MESSAGE[kind])
    assert heard
    assert reply(producer, "ping") == {"ok": "pong"}
    assert client.ping().track == client.track
    assert client.status().worker.pid == before


def test_what_the_worker_tells_of_its_settings_has_no_password(stack: Stack, client: Client, producer: Celery) -> None:
    found = re.search(r":([^:@/]+)@", stack.redis_url)
    assert found is not None
    told = inspected(stack, "conf") + inspected(stack, "report") + repr(reply(producer, "registered"))
    assert "redis://" in told
    assert found.group(1) not in told
