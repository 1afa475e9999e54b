"""The Redis of a run: it can be killed, have its clock set, and be replaced by a replica."""

import os
import platform
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import redis

from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_ops.local.data_folder import write_private
from tests.faults.history import REDIS, Journal, Paused, Resumed, Stepped, now_ns

FAKETIME = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1")
_LIMIT_S = 60.0
_LOOK_S = 0.02
# Longer than the moment between the last write and the replica's first.
_QUIET_MS = 30_000
# Nothing listens there, so nobody is taken for the server of a folder that is being made.
_NOWHERE = 1


class Database:
    """A server on a port that stays the same, whichever process serves it; `clock` if its clock is to be set."""

    def __init__(self, folder: Path, journal: Journal, *, clock: bool) -> None:
        self._folder = folder / "redis"
        self._replicas = 0
        self._journal = journal
        self._offset = folder / "redis-clock" if clock else None
        self.off_s = 0
        # How far it was off at most, either way.
        self.most_off_s = 0
        if self._offset is not None:
            self._offset.write_text("+0s\n", encoding="ascii")
        self._server = self._start(self._folder, None)
        self.url = self._server.url

    @property
    def port(self) -> int:
        """Where it listens."""
        return _port_of(self.url)

    @property
    def process(self) -> psutil.Process:
        """The process that serves."""
        return psutil.Process(self._server.child.pid)

    def connect(self) -> redis.Redis:
        """Open a connection of the driver's own."""
        return redis.Redis.from_url(self.url, socket_timeout=10, client_name="driver")

    def kill(self) -> None:
        """Kill it, when all that it has acknowledged is in the system's hands.

        While a slow disk is at the sync of each second, Redis keeps back what it has acknowledged since.
        """
        with self.connect() as connection:
            connection.config_set("appendfsync", "no")
        self._journal.note(Paused(now_ns(), REDIS))
        os.kill(self._server.child.pid, signal.SIGKILL)
        self._server.stop()

    def start(self) -> None:
        """Start it again with what it had, where it was."""
        self._server = self._start(self._folder, self.port)
        self._journal.note(Resumed(now_ns(), REDIS))

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def step(self, by_s: int) -> None:
        """Set its clock; returns once it shows it."""
        assert self._offset is not None
        self.off_s += by_s
        self.most_off_s = max(self.most_off_s, abs(self.off_s))
        self._journal.note(Stepped(now_ns(), by_s))
        new = self._offset.with_suffix(".new")
        new.write_text(f"{self.off_s:+d}s\n", encoding="ascii")
        new.replace(self._offset)
        with self.connect() as connection:
            _wait(lambda: abs(connection.time()[0] - time.time() - self.off_s) < abs(by_s) / 2)

    def hand_over(self) -> None:
        """Attach a replica, kill the server when both have the same, and have the replica serve in its place."""
        replica = self._attach()
        try:
            with self.connect() as old, redis.Redis.from_url(replica.url, socket_timeout=10) as new:
                _wait(lambda: new.info("replication").get("master_link_status") == "up")
                _wait(lambda: _has_its_data_on_disk(new))
                old.execute_command("CLIENT", "PAUSE", _QUIET_MS, "WRITE")
                _wait(lambda: _written(old, "master_repl_offset") == _written(new, "slave_repl_offset"))
                self._journal.note(Paused(now_ns(), REDIS))
                os.kill(self._server.child.pid, signal.SIGKILL)
                self._server.stop()
                new.replicaof("NO", "ONE")
                new.config_set("port", self.port)
        except BaseException:
            replica.stop()
            raise
        self._server = replica
        self._journal.note(Resumed(now_ns(), REDIS))

    def _attach(self) -> EmbeddedRedis:
        self._replicas += 1
        folder = self._folder.with_name(f"redis-{self._replicas}")
        folder.mkdir()
        password = urlsplit(self.url).password or ""
        write_private(folder / "redis.conf", f"port {_NOWHERE}\nrequirepass {password}\n")
        replica = self._start(folder, None)
        with redis.Redis.from_url(replica.url, socket_timeout=10) as connection:
            connection.config_set("masterauth", password)
            connection.replicaof("127.0.0.1", str(self.port))
        self._folder = folder
        return replica

    def _start(self, folder: Path, port: int | None) -> EmbeddedRedis:
        with _faked(self._offset):
            return EmbeddedRedis.start(folder, port=port)


def _port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def _has_its_data_on_disk(server: redis.Redis) -> bool:
    """Whether a kill would leave what a replica was given: it writes all of that to disk beside its work."""
    persistence: Any = server.info("persistence")
    return not persistence["aof_rewrite_in_progress"] and not persistence["aof_rewrite_scheduled"]


def _written(connection: redis.Redis, name: str) -> int:
    found: Any = connection.info("replication")
    return int(found[name])


@contextmanager
def _faked(offset: Path | None) -> Iterator[None]:
    """Have what is started meanwhile see a clock that is off by what the file says."""
    if offset is None:
        yield
        return
    faked = {
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "LD_PRELOAD": str(FAKETIME),
    }
    os.environ.update(faked)
    try:
        yield
    finally:
        for name in faked:
            del os.environ[name]


def _wait(condition: Any) -> None:
    until_s = time.monotonic() + _LIMIT_S
    while not condition():
        assert time.monotonic() < until_s, "Redis is not as it should be"
        time.sleep(_LOOK_S)
