"""The inboxes of workers that have, or had, the track."""

import time

import pytest
import redis

from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.scripts import Scripts
from tests.unit.worker.delivery.traffic import TakeTrack
from tests.unit.worker.track import KEYS


@pytest.fixture
def take_track(connection: redis.Redis) -> TakeTrack:
    """Give the inbox of a worker that takes the track under a token."""
    scripts = Scripts(connection)

    def make(token: int) -> Inbox:
        connection.set(KEYS.fence, token)
        connection.zadd(KEYS.holders, {str(token): time.time() * 1000})
        inbox = Inbox(KEYS, scripts, host="here", tasks={"gpu.ping"})
        inbox.open(token)
        return inbox

    return make


@pytest.fixture
def inbox(take_track: TakeTrack) -> Inbox:
    return take_track(1)
