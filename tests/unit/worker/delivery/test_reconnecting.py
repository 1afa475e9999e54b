"""How often kombu's connections look for a Redis that is away."""

from typing import Any

import pytest
from kombu.exceptions import OperationalError

from singletrack_worker.app import app
from singletrack_worker.delivery.reconnecting import RECONNECT_EVERY_S, TrackConnection

TRIES = 20


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between the tries to connect to a Redis that is away, none of which is waited for."""
    told: list[float] = []

    def refuse(connection: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(TrackConnection, "_connection_factory", refuse)
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    return told


def test_the_pauses_of_a_worker_do_not_grow(pauses: list[float]) -> None:
    """As Celery's consumer connects: it leaves the pauses to kombu, whose longest is half a minute."""
    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, pause_s: pauses.append(pause_s), TRIES)
    assert len(pauses) == TRIES
    assert max(pauses) <= RECONNECT_EVERY_S


def test_nor_do_those_of_kombus_pools() -> None:
    pool: Any = app.pool
    with pool.acquire() as connection:
        assert connection._extract_failover_opts()["interval_max"] <= RECONNECT_EVERY_S
