"""The short form of `python -m tests.faults.innocents`."""

import sys
from pathlib import Path

import pytest

from singletrack_ops.embedded.redis_server import EmbeddedRedis
from tests.faults.innocents import Buried, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed as POSIX has it")


def test_workers_that_are_killed_from_outside_cost_no_job(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path / "redis") as server:
        assert run(tmp_path, server.url, jobs=4, kills=3) == Buried(innocents=0, jobs=4, killer=True)
