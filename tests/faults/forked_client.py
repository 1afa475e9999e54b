"""A client that is used, forks, and goes on in both: `python -m tests.faults.forked_client NAME SEED`.

It ends with status 0 if parent and children were told the outcome of everything they sent.
"""

import multiprocessing
import os
import random
import sys

from tests.faults.clients import FINISH_S
from tests.faults.errands import draw
from tests.faults.our_office import OurOffice
from tests.faults.player import Player
from tests.faults.recording import journal

CHILDREN = 2
_EACH = 6


def main(name: str, seed: str) -> int:
    """Send, fork, and send in all of them."""
    office = OurOffice(os.environ["SINGLETRACK_REDIS_URL"], os.environ["SINGLETRACK_TRACK"])
    player = _player(name, office)
    _send(player, random.Random(f"{seed} {name}"))
    # What was sent is still waited for, in threads that use the same connections.
    context = multiprocessing.get_context("fork")
    children = [
        context.Process(target=_child, args=(f"{name}-{number}", seed, office), name=f"{name}-{number}")
        for number in range(CHILDREN)
    ]
    for child in children:
        child.start()
        _send(player, random.Random(f"{seed} {child.name} parent"))
    told = player.finish(FINISH_S)
    for child in children:
        child.join(FINISH_S)
    return 0 if told and all(child.exitcode == 0 for child in children) else 1


def _child(name: str, seed: str, office: OurOffice) -> None:
    player = _player(name, office)
    _send(player, random.Random(f"{seed} {name}"))
    os._exit(0 if player.finish(FINISH_S) else 1)


def _player(name: str, office: OurOffice) -> Player:
    return Player(name, office, journal(), goes_on=lambda: True, most_open=4 * _EACH)


def _send(player: Player, rng: random.Random) -> None:
    for _ in range(_EACH):
        player.send(draw(rng))


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)
