"""Machines and workers that stand still for a while."""

import json
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from singletrack_tasks.keys import Keys
from tests.faults.errands import Errand
from tests.faults.history import REDIS, Paused, Resumed, now_ns
from tests.faults.kinds.kind import Kind
from tests.faults.subjects import TRACK
from tests.faults.world import World, moments

_TAKEOVER_S = 90.0
_LOAD_S = 20.0
_END_S = 20.0
_LOADING = "load_vlm"


def suspend(world: World, rng: random.Random) -> None:
    """The machine sleeps: everything on it but the clients stands still at once, and wakes up in any order."""
    if rng.random() < 0.5:
        world.watch.wait(lambda: world.watch.busy, 5)
    world.begin_fault("suspend")
    with _all_stopped(world, rng):
        time.sleep(rng.uniform(3, 25))


def takeover_load(world: World, rng: random.Random) -> None:
    """SIGSTOP in the middle of a load of the VLM, past the lease: another host takes over, and SIGCONT."""
    world.player.send(Errand("unload"))
    job = world.player.send(Errand("load"))
    if job is not None:
        world.watch.wait(lambda: _loads(world, job), _LOAD_S)
    fault = world.begin_fault("takeover-load")
    world.keeper.pause()
    other = world.keep_worker("b")
    if not world.watch.wait(lambda: world.watch.done_since(fault.at_ns, "b") is not None, _TAKEOVER_S):
        world.notice("not taken over", f"nobody took over from a paused worker in {_TAKEOVER_S:.0f} s")
    if rng.random() < 0.7:
        # When it goes on, the other one is at a question.
        asked = world.player.send(Errand("slow"))
        if asked is not None:
            world.watch.wait(lambda: world.watch.works_at(asked, "b"), _LOAD_S)
    world.keeper.resume()
    moments(rng, 4.0)
    if other.end(_END_S) is None:
        world.notice("hung", "the other host's worker did not end")


KINDS = {"suspend": Kind(suspend, 0.7), "takeover-load": Kind(takeover_load, 0.4)}


def _loads(world: World, job: str) -> bool:
    """Whether the load has begun, as the worker tells it."""
    with world.connect() as connection:
        raw: Any = connection.get(Keys(TRACK).status)
    operation = json.loads(raw or b"{}").get("operation") or {}
    return operation.get("job_id") == job and operation.get("stage") == _LOADING


@contextmanager
def _all_stopped(world: World, rng: random.Random) -> Iterator[None]:
    assert world.ollama is not None
    assert world.ollama.child is not None
    worker, redis = world.keeper.pid, world.database.process.pid
    pids = [worker, redis, world.ollama.child.pid] + ([world.beat.pid] if world.beat is not None else [])
    machines = [_tree(pid) for pid in pids]
    for pid in (worker, REDIS):
        world.note(Paused(now_ns(), pid))
    _signal(machines, signal.SIGSTOP)
    try:
        yield
    finally:
        rng.shuffle(machines)
        for machine in machines:
            _signal([machine], signal.SIGCONT)
            moments(rng, 0.3)
        for pid in (worker, REDIS):
            world.note(Resumed(now_ns(), pid))


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []  # it is being started again


def _signal(machines: list[list[psutil.Process]], number: signal.Signals) -> None:
    for process in (process for machine in machines for process in machine):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
