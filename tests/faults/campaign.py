"""Worlds full of faults, one after the other, each drawn from a seed."""

import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.faults import KINDS
from tests.faults.history import read
from tests.faults.report import Report
from tests.faults.subjects import Subject
from tests.faults.world import World, moments

# Between the recovery from one fault and the next one.
REST_S = 0.6
_BEATS = frozenset({"kill-beat", "double-beat", "beat-clock"})


def kinds_for(subject: Subject, wanted: Sequence[str]) -> list[str]:
    """Give the names of the faults that a subject can have, of those that are wanted (all, if none is named)."""
    return [
        name
        for name, kind in KINDS.items()
        if (not wanted or name in wanted) and (subject.ours or kind.stock) and not kind.needs()
    ]


def plan(rng: random.Random, kinds: Sequence[str], faults: int) -> list[str]:
    """Draw the faults of one world; kinds that have no weight come as often as others where they are all there is."""
    weights = [KINDS[kind].weight for kind in kinds]
    return rng.choices(kinds, weights if any(weights) else None, k=faults)


def run_world(
    folder: Path,
    subject: Subject,
    seed: str,
    faults: Sequence[str],
    report: Report,
    say: Callable[[str], None] = lambda _: None,
) -> bool:
    """Run one world through its faults and check it; whether all was well. Its files stay if it was not."""
    rng = random.Random(seed)
    started_s = time.monotonic()
    world = World(
        folder,
        subject,
        seed,
        proxied="half-open" in faults,
        clock="step-clock" in faults,
        redis_clock="redis-clock" in faults,
        beat=bool(_BEATS & set(faults)) or rng.random() < 0.5,
    )
    with world:
        for kind in faults:
            moments(rng, REST_S)
            fault = world.last_fault
            KINDS[kind].inject(world, rng)
            if world.last_fault is not fault and world.last_fault is not None:
                world.wait_until_it_works(world.last_fault)
        world.drain()
    found = report.add(seed, read(world.history))
    say(f"{seed}: {len(faults)} faults in {time.monotonic() - started_s:.0f} s, {len(found)} violations")
    for violation in found[:20]:
        say(f"  {violation.kind}: {violation.text}")
    if not found:
        shutil.rmtree(folder)
    return not found


def run(
    folder: Path,
    subject: Subject,
    *,
    seed: int,
    rounds: int,
    faults: int,
    wanted: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run a whole campaign."""
    report = Report()
    for kind, needs in ((name, KINDS[name].needs()) for name in wanted or KINDS):
        if needs:
            say(f"{kind} is left out: {needs}")
    for number in range(rounds):
        name = f"{subject.name}-{seed}-{number}"
        drawn = plan(random.Random(name), kinds_for(subject, wanted), faults)
        run_world(folder / name, subject, name, drawn, report, say)
    return report
