"""Redis takes away what it has, or whom it lets in: whoever waits is told."""

import contextlib
import random
import secrets
import subprocess
import sys
import time

import redis

from singletrack_tasks.keys import Keys
from tests.faults.errands import Errand
from tests.faults.kinds.kind import Kind, must_be_answered
from tests.faults.subjects import TRACK
from tests.faults.world import World, moments

_BURST = 12
_PURGE_S = 60.0
# What Redis may use while it evicts, on top of what it has when it is told to.
_SCARCE_BYTES = 64 * 1024
_FILL_EVERY_S = 0.005
_BALLAST = "singletrack:ballast:"


def purge(world: World, rng: random.Random) -> None:
    """Somebody empties the queue while jobs wait: their callers are told that they are lost."""
    by_celery = rng.random() < 0.4
    world.keeper.pause()
    try:
        _send_many(world, rng)
        world.begin_fault("purge")
        with world.take_away(everything=False), world.connect() as connection:
            if by_celery:
                command = [sys.executable, "-m", "celery", "-A", world.subject.app, "purge", "-f"]
                environ = world.environ()
                subprocess.run(
                    command, env=environ, cwd=world.folder, timeout=_PURGE_S, capture_output=True, check=True
                )
            else:
                connection.delete(Keys(TRACK).queue)
    finally:
        world.keeper.resume()
    must_be_answered(world, "a purge")


def flush_all(world: World, rng: random.Random) -> None:
    """Redis loses everything it has."""
    if rng.random() < 0.7:
        _send_many(world, rng)
    moments(rng, 0.1)
    world.begin_fault("flushall")
    with world.take_away(everything=True), world.connect() as connection:
        connection.flushall()
    must_be_answered(world, "the loss of all data")


def evict(world: World, rng: random.Random) -> None:
    """Redis evicts keys for a while, as nobody should have it do: what goes is lost, and its callers are told so."""
    _send_many(world, rng)
    world.begin_fault("eviction")
    world.evicted = True
    with world.take_away(everything=True), world.connect() as connection:
        used_bytes = int(connection.info("memory")["used_memory"])
        connection.config_set("maxmemory-policy", "allkeys-lru")
        connection.config_set("maxmemory", str(used_bytes + _SCARCE_BYTES))
        try:
            _fill(connection, rng.uniform(1, 4))
        finally:
            connection.config_set("maxmemory", "0")
            connection.config_set("maxmemory-policy", "noeviction")
            for name in connection.scan_iter(f"{_BALLAST}*", count=1000):
                connection.delete(name)
    must_be_answered(world, "evictions")


def _fill(connection: redis.Redis, duration_s: float) -> None:
    """Have others store things, so that what has not been used for long must go."""
    until_s, number = time.monotonic() + duration_s, 0
    while time.monotonic() < until_s:
        with contextlib.suppress(redis.OutOfMemoryError):
            # There is nothing left to evict.
            connection.set(f"{_BALLAST}{number}", secrets.token_bytes(4096), ex=1)
        number += 1
        time.sleep(_FILL_EVERY_S)


def rotate_password(world: World, rng: random.Random) -> None:
    """The password of Redis changes, everybody is sent away, and a moment later the old one is right again."""
    moments(rng, 0.3)
    world.begin_fault("rotate-password")
    with world.lock_out(), world.connect() as connection:
        password = connection.config_get("requirepass")["requirepass"]
        connection.config_set("requirepass", secrets.token_urlsafe(16))
        for kind in ("normal", "pubsub"):
            connection.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        time.sleep(rng.uniform(1, 3))
        connection.config_set("requirepass", password)
    must_be_answered(world, "another password")


def promote_replica(world: World, rng: random.Random) -> None:
    """Redis dies, and a replica that has all it had serves in its place."""
    if rng.random() < 0.5:
        _send_many(world, rng)
    world.begin_fault("promote-replica")
    world.database.hand_over()
    must_be_answered(world, "a failover")


KINDS = {
    "purge": Kind(purge, 1),
    "flushall": Kind(flush_all, 0.7),
    "eviction": Kind(evict, 0.5),
    "rotate-password": Kind(rotate_password, 1),
    "promote-replica": Kind(promote_replica, 1),
}


def _send_many(world: World, rng: random.Random) -> None:
    for _ in range(_BURST):
        world.player.send(Errand(rng.choice(("ping", "embed", "ask", "find")), word=f"{rng.getrandbits(64):016x}"))
