"""The servers beside the worker die, double, fall silent or run out of memory, and so do its encoders."""

import random
import time
from typing import Any

import psutil

from singletrack_tasks.keys import Keys
from tests.faults.errands import Errand
from tests.faults.kinds.kind import Kind
from tests.faults.subjects import TRACK
from tests.faults.world import World, moments

# What Redis may use when it is to be out of memory: less than it needs to begin with.
SCARCE = "1mb"
_BUSY_S = 5.0
_BURST = 3


def kill_encoder(world: World, rng: random.Random) -> None:
    """Kill -9 of one of CLIP's processes."""
    moments(rng, 0.3)
    encoders = _family(world.keeper.pid, "stand_in_encoder")
    world.begin_fault("kill-encoder")
    if encoders:
        _kill(rng.choice(encoders))


def kill_ollama(world: World, rng: random.Random) -> None:
    """Kill -9 of Ollama, which comes back after a moment."""
    if rng.random() < 0.5:
        world.watch.wait(lambda: world.watch.busy, _BUSY_S)
    world.begin_fault("kill-ollama")
    world.kill_ollama()
    moments(rng, 1.0)
    world.start_ollama()


def kill_runner(world: World, rng: random.Random) -> None:
    """Kill -9 of the process in which Ollama has its model."""
    assert world.ollama is not None
    assert world.ollama.child is not None
    moments(rng, 0.3)
    runners = _family(world.ollama.child.pid, "runner")
    world.begin_fault("kill-runner")
    if runners:
        _kill(rng.choice(runners))


def kill_beat(world: World, rng: random.Random) -> None:
    """Kill -9 of what sends the checks, and a new one."""
    world.begin_fault("kill-beat")
    if world.beat is not None:
        world.beat.stop(0)
    moments(rng, 1.0)
    world.beat = world.start_beat()


def double_beat(world: World, rng: random.Random) -> None:
    """Two of what sends the checks."""
    world.begin_fault("double-beat")
    other = world.start_beat()
    time.sleep(rng.uniform(1, 3))
    other.stop()


def kill_redis(world: World, rng: random.Random) -> None:
    """Kill -9 of Redis, which comes back with what it had."""
    if rng.random() < 0.5:
        world.watch.wait(lambda: world.watch.busy, _BUSY_S)
    world.begin_fault("kill-redis")
    world.database.kill()
    moments(rng, 1.5)
    world.database.start()


def kill_connections(world: World, rng: random.Random) -> None:
    """Every connection to Redis is cut, in the middle of whatever goes over it."""
    moments(rng, 0.3)
    world.begin_fault("kill-connections")
    with world.connect() as connection:
        for kind in rng.choice([("normal",), ("normal", "pubsub"), ("pubsub",)]):
            connection.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def half_open(world: World, rng: random.Random) -> None:
    """The worker's connections go silent without being closed, for a moment or for good."""
    assert world.proxy is not None
    moments(rng, 0.3)
    world.begin_fault("half-open")
    world.proxy.freeze()
    time.sleep(rng.choice([rng.uniform(0.5, 4), rng.uniform(4, 12), rng.uniform(16, 20), 60]))
    world.proxy.thaw(old_ones_too=rng.random() < 0.5)


def stray_move(world: World, rng: random.Random) -> None:
    """What was asked for on a connection that is given up is done late: a message is moved, and nobody reads of it."""
    world.keeper.pause()
    try:
        world.begin_fault("stray-move")
        for _ in range(_BURST):
            world.player.send(Errand(rng.choice(("ping", "embed")), word=f"{rng.getrandbits(64):x}"))
        with world.connect() as connection:
            keys = Keys(TRACK)
            token: Any = connection.get(keys.fence)
            connection.lmove(keys.queue, keys.taken(token.decode()), "RIGHT", "LEFT")
    finally:
        world.keeper.resume()


def out_of_memory(world: World, rng: random.Random) -> None:
    """Redis takes nothing more for a while."""
    moments(rng, 0.3)
    with world.connect() as connection:
        world.begin_fault("out-of-memory")
        connection.config_set("maxmemory", SCARCE)
        time.sleep(rng.uniform(0.2, 4))
        connection.config_set("maxmemory", "0")


KINDS = {
    "kill-encoder": Kind(kill_encoder, 6),
    "kill-ollama": Kind(kill_ollama, 4),
    "kill-runner": Kind(kill_runner, 4),
    "kill-beat": Kind(kill_beat, 1),
    "double-beat": Kind(double_beat, 0.6),
    "kill-redis": Kind(kill_redis, 6, stock=True),
    "kill-connections": Kind(kill_connections, 10, stock=True),
    "half-open": Kind(half_open, 1),
    "stray-move": Kind(stray_move, 2),
    "out-of-memory": Kind(out_of_memory, 2),
}


def _family(pid: int, word: str) -> list[psutil.Process]:
    """The descendants of a process whose command has a word in it."""
    try:
        return [one for one in psutil.Process(pid).children(recursive=True) if word in " ".join(one.cmdline())]
    except psutil.Error:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return  # it was faster
