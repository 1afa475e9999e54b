"""Clocks that are off, or are set while everything runs."""

import random

from tests.faults.database import FAKETIME
from tests.faults.errands import Errand
from tests.faults.kinds.kind import Kind, must_be_answered
from tests.faults.world import World, moments

# Far from how long anything is kept: what goes by that clock goes when it is set.
REDIS_STEPS_S = (20, -20, 1200, -1200)
_BEATS_OFF_S = (-20.0, 7200.0, -7200.0)


def beat_clock(world: World, rng: random.Random) -> None:
    """Kill -9 of what sends the checks, and a new one on a machine whose clock is off."""
    world.begin_fault("beat-clock")
    if world.beat is not None:
        world.beat.stop(0)
    moments(rng, 1.0)
    world.beat = world.start_beat(rng.choice(_BEATS_OFF_S))


def redis_clock(world: World, rng: random.Random) -> None:
    """The clock that all share is set, and back the next time."""
    if rng.random() < 0.5:
        for _ in range(3):
            world.player.send(Errand(rng.choice(("ping", "embed", "ask")), word=f"{rng.getrandbits(64):016x}"))
    moments(rng, 0.5)
    world.begin_fault("redis-clock")
    off_s = world.database.off_s
    world.database.step(-off_s or rng.choice(REDIS_STEPS_S))
    must_be_answered(world, "a step of the clock of Redis")


def _needs_faketime() -> str:
    return "" if FAKETIME.exists() else f"{FAKETIME} is missing (Debian: apt install libfaketime)"


KINDS = {"beat-clock": Kind(beat_clock, 0.7), "redis-clock": Kind(redis_clock, 1.5, needs=_needs_faketime)}
