"""A writer of the worker that has the track."""

import pytest
import redis

from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.store.writer import FencedWriter
from tests.unit.worker.track import KEYS, TOKEN


@pytest.fixture
def scripts(connection: redis.Redis) -> Scripts:
    return Scripts(connection)


@pytest.fixture
def writer(connection: redis.Redis, scripts: Scripts) -> FencedWriter:
    """The writer of the worker that has the track."""
    connection.set(KEYS.fence, TOKEN)
    return FencedWriter(connection, KEYS, scripts, lambda: TOKEN)
