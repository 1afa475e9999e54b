"""Sends and takes messages, and looks at where they are in Redis."""

import json
from collections.abc import Callable
from typing import Any

import redis

from singletrack_worker.delivery.inbox import Inbox
from tests.unit.worker.messages import message, raw
from tests.unit.worker.track import KEYS

# Gives the inbox of a worker that takes the track under a token.
TakeTrack = Callable[[int], Inbox]


def send(connection: redis.Redis, *jobs: str) -> list[bytes]:
    messages = [raw(message(job_id=job)) for job in jobs]
    for data in messages:
        connection.lpush(KEYS.queue, data)
    return messages


def take(inbox: Inbox) -> Any:
    """Take the next message as the transport does."""
    token = inbox.token
    data = inbox.take_now(token)
    assert data is not None
    return inbox.admit(data, token)


def queued(connection: redis.Redis) -> list[str]:
    """The jobs on the queue, the next one first."""
    found: Any = connection.lrange(KEYS.queue, 0, -1)
    return [json.loads(data)["headers"]["id"] for data in reversed(found)]


def in_hand(connection: redis.Redis, token: int = 1) -> int:
    count: Any = connection.llen(KEYS.taken(token))
    return int(count)


def result(connection: redis.Redis, job: str) -> Any:
    data: Any = connection.get(KEYS.result(job))
    return None if data is None else json.loads(data)
