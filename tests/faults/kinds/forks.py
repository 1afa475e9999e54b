"""Agents that fork after they have used their client."""

import random

from tests.faults.clients import FINISH_S
from tests.faults.kinds.kind import Kind
from tests.faults.world import World


def fork_client(world: World, rng: random.Random) -> None:
    """A client goes on in a parent and in its children: all of them are told what became of their jobs."""
    fault = world.begin_fault("fork-client")
    child = world.start_client("tests.faults.forked_client", f"fork-{fault.number}", f"{rng.getrandbits(64):x}")
    if rng.random() < 0.5:
        with world.connect() as connection:
            world.watch.wait(lambda: not child.alive, rng.uniform(1, 4))
            connection.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    status = child.wait(3 * FINISH_S)
    if status != 0:
        world.notice("forked", f"{child.name} ended with {status}: {child.log_tail(3)}")


KINDS = {"fork-client": Kind(fork_client, 1)}
