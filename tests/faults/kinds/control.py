"""Celery's remote control in the hands of somebody who does not know what he does."""

import random
import uuid
from typing import Any

from celery import Celery

from singletrack_tasks.keys import Keys
from singletrack_worker.remote_control import COMMANDS
from tests.faults.errands import Errand
from tests.faults.kinds.kind import TOLD_S, Kind, must_be_answered
from tests.faults.subjects import TRACK
from tests.faults.world import World, moments
from tests.integration.test_worker_remote_control import ARGUMENTS, NO_MESSAGE
from tests.integration.worker_tools import foreign_producer

_REPLY_S = 2.0
_BURST = 5
_ODD: tuple[Any, ...] = (None, 0, -1, 10**9, "", "gpu", "gpu.ping", "celery@nobody", [], {}, ["a"], "1/h", True)
# `shutdown` ends the worker as SIGTERM does; these are told of apart.
_ALONE = frozenset({"shutdown", "revoke", "gpu_cancel"})


def send_remote_control(world: World, rng: random.Random) -> None:
    """Commands of every kind, with arguments that fit and such as do not: the worker serves on, one at a time."""
    chosen = rng.choices(sorted(COMMANDS.keys() - _ALONE), k=_BURST)
    world.begin_fault("remote-control", len(chosen))
    with foreign_producer(world.url, TRACK) as producer:
        for command in chosen:
            _send(world, producer, command, _arguments(rng, command))
        if rng.random() < 0.5:
            _revoke(world, producer, rng)
    if rng.random() < 0.5:
        with world.connect() as connection:
            connection.publish(f"{Keys(TRACK).prefix}/0.celery.pidbox", rng.choice(list(NO_MESSAGE.values())))
    must_be_answered(world, "remote control")


def shut_down(world: World, rng: random.Random) -> None:
    """Somebody ends the worker by remote control, which does as SIGTERM does."""
    moments(rng, 0.3)
    world.begin_fault("remote-shutdown")
    with foreign_producer(world.url, TRACK) as producer:
        lives, child = world.keeper.lives, world.keeper.child
        if not _hears(world, producer):
            return  # it starts just now
        producer.control.broadcast("shutdown")
        if world.keeper.lives == lives and child.wait(TOLD_S) is None:
            world.notice("hung", "the worker did not end when it was told to by remote control")
            world.keeper.kill()


KINDS = {"remote-control": Kind(send_remote_control, 1.5), "remote-shutdown": Kind(shut_down, 0.5)}


def _hears(world: World, producer: Celery) -> bool:
    return bool(producer.control.broadcast("ping", reply=True, timeout=_REPLY_S, limit=1))


def _arguments(rng: random.Random, command: str) -> dict[str, Any]:
    arguments = dict(ARGUMENTS.get(command, {}))
    if rng.random() < 0.5:
        arguments = {name: rng.choice(_ODD) for name in arguments if rng.random() < 0.8}
        if rng.random() < 0.3:
            arguments["unknown"] = rng.choice(_ODD)
    return arguments


def _send(world: World, producer: Celery, command: str, arguments: dict[str, Any]) -> None:
    found = producer.control.broadcast(command, arguments=arguments, reply=True, timeout=_REPLY_S, limit=1)
    for reply in found or ():
        for answer in reply.values():
            refused = isinstance(answer, dict) and "error" in answer
            if COMMANDS[command].how == "refused" and not refused:
                world.notice("remote control", f"{command} was answered with {answer!r:.200}")


def _revoke(world: World, producer: Celery, rng: random.Random) -> None:
    """Revoke ids that nobody has, and a job that is sent after it."""
    ids = [str(uuid.uuid4()) for _ in range(rng.randint(1, 50))]
    producer.control.revoke(ids, terminate=rng.random() < 0.5, signal="KILL")
    producer.control.broadcast("gpu_cancel", arguments={"job_id": rng.choice(ids)})
    world.player.send(Errand("ping"))
