"""A run's Redis: its clock, and a replica in its place."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.database import FAKETIME, Database
from tests.faults.history import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "history.jsonl")
    yield made
    made.close()


def test_a_replica_serves_in_its_place_with_all_it_had(tmp_path: Path, journal: Journal) -> None:
    database = Database(tmp_path, journal, clock=False)
    try:
        for number in range(2):
            with database.connect() as connection:
                connection.rpush("list", *(f"{number} {entry}" for entry in range(1000)))
            pid = database.process.pid
            database.hand_over()
            assert database.process.pid != pid
        database.kill()
        database.start()
        with database.connect() as connection:
            assert connection.llen("list") == 2000
            assert connection.set("name", "it can be written")
    finally:
        database.stop()


@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed (Debian: apt install libfaketime)")
def test_its_clock_is_set_and_stays_so(tmp_path: Path, journal: Journal) -> None:
    database = Database(tmp_path, journal, clock=True)
    try:
        for by_s in (1200, -1220):
            database.step(by_s)
            with database.connect() as connection:
                assert abs(connection.time()[0] - time.time() - database.off_s) < 10
        assert (database.off_s, database.most_off_s) == (-20, 1200)
        database.kill()
        database.start()
        with database.connect() as connection:
            assert connection.time()[0] < time.time() - 10
    finally:
        database.stop()
