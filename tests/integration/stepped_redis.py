"""A Redis whose clock can be set while it runs."""

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from singletrack_ops.embedded.redis_server import find_redis_binary
from singletrack_ops.local.loopback import LOOPBACK, free_port
from tests.integration.ops.waiting import wait_for

_LIBRARY = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1")


class SteppedRedis:
    """The server at `url`, and how far its clock is off."""

    def __init__(self, url: str, offset: Path) -> None:
        self.url = url
        self._offset = offset
        self._off_s = 0

    def step(self, by_s: int) -> None:
        """Set its clock; returns once it shows it."""
        self._off_s += by_s
        new = self._offset.with_suffix(".new")
        new.write_text(f"{self._off_s:+d}s\n", encoding="ascii")
        new.replace(self._offset)
        wait_for(lambda: abs(self.time_unix_s() - time.time() - self._off_s) < abs(by_s) / 2, "the clock is set")

    def time_unix_s(self) -> float:
        """What its clock shows."""
        with redis.Redis.from_url(self.url) as client:
            seconds, microseconds = client.time()
        return float(seconds + microseconds / 1e6)


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


@contextmanager
def stepped_redis(folder: Path) -> Iterator[SteppedRedis]:
    """Run one; skips where libfaketime is missing."""
    if not _LIBRARY.exists():
        pytest.skip("libfaketime is not installed (Debian: apt install libfaketime)")
    offset = folder / "offset"
    offset.write_text("+0s\n", encoding="ascii")
    faked = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    port = free_port()
    command = [
        str(find_redis_binary().path),
        "--port",
        str(port),
        "--bind",
        LOOPBACK,
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    environ = os.environ | faked | {"LD_PRELOAD": str(_LIBRARY)}
    with (folder / "redis.log").open("w") as log, subprocess.Popen(command, env=environ, stdout=log) as server:
        try:
            url = f"redis://{LOOPBACK}:{port}/0"
            wait_for(lambda: _answers(url), "Redis answers")
            yield SteppedRedis(url, offset)
        finally:
            server.kill()
