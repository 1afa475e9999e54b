"""What a kind of fault is, and what many of them do."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from singletrack_tasks.keys import Keys
from tests.faults.errands import PATIENT_S, Errand
from tests.faults.recording import digest_of
from tests.faults.subjects import TRACK
from tests.faults.world import World

Inject = Callable[[World, random.Random], None]

# Whoever waits is told long before; a machine that is busy with other things may take its time.
TOLD_S = 60.0


@dataclass(frozen=True)
class Kind:
    """How a fault is made, how often it comes beside the others, and whether the stock app can have it as well.

    One of weight 0 comes only when it is asked for by its name. `needs` says what is missing on this machine, if
    anything is.
    """

    inject: Inject
    weight: float
    stock: bool = False
    needs: Callable[[], str] = lambda: ""


def push(world: World, messages: Sequence[bytes]) -> None:
    """Put messages on the queue as they are."""
    with world.connect() as connection:
        for raw in messages:
            connection.lpush(world.subject.queue, raw)


def ending(world: World, job: str) -> str:
    """Wait for what lies in Redis of a job that ended: the digest of its result, the name of its error, or nothing."""
    key = Keys(TRACK).result(job)
    with world.connect() as connection:
        world.watch.wait(lambda: bool(connection.exists(key)), TOLD_S)
        raw: Any = connection.get(key)
    return digest_of(json.loads(raw)) if raw else ""


def told(world: World, errand: Errand) -> str | None:
    """Have the driver's client hand in an errand, and wait; the error that it was told, '' for a result."""
    job = world.player.send(errand)
    if job is None:
        return None
    world.watch.wait(lambda: job in world.player.told, TOLD_S + PATIENT_S)
    return world.player.told.get(job, "nothing")


def must_be_answered(world: World, after: str) -> None:
    """Send a good job, which comes after all that went wrong before it."""
    error = told(world, Errand("ping"))
    if error:
        world.notice("not answered", f"a good job after {after} was told {error}")
