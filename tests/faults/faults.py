"""The bad things that happen, each a small function on a running world."""

import random
import signal
import time
from typing import Any

from singletrack_ops.local.child_process import Child
from tests.faults import malformed
from tests.faults.errands import PATIENT_S, Errand
from tests.faults.history import Fault
from tests.faults.kinds import clocks, control, forks, locks, losses, messages, servers, stops
from tests.faults.kinds.kind import Kind, push
from tests.faults.world import World, moments

EX_HELD = 75
# Longer than three workers take to start on a machine that is busy with other things.
POISON_S = 180.0
HOUR_S = 3600
_WAIT_S = 20.0
_BUSY_S = 5.0
_IDLE_S = 2.0
_BACKLOG = 150
_BULK = 8
# The lease of a paused worker has run out after this, and somebody else has it.
_TAKEOVER_S = 45.0
# How long a worker that is refused may take to say so, most of it for its imports.
_REFUSED_S = 25.0
_BURST = 3


def kill_idle(world: World, rng: random.Random) -> None:
    """Kill -9 while it does nothing."""
    _until_idle(world)
    world.begin_fault("kill-idle")
    world.keeper.kill()


def kill_busy(world: World, rng: random.Random) -> None:
    """Kill -9 in the middle of an operation."""
    world.watch.wait(lambda: world.watch.busy, _BUSY_S)
    moments(rng, 0.02)
    world.begin_fault("kill-busy")
    world.keeper.kill()


def kill_any(world: World, rng: random.Random) -> None:
    """Kill -9 at a moment that has to do with nothing, its start included."""
    moments(rng, 1.0)
    world.begin_fault("kill-any")
    world.keeper.kill()


def kill_in_socket(world: World, rng: random.Random) -> None:
    """Kill -9 when Redis has given it a message that it has not read yet."""
    _until_idle(world)
    world.begin_fault("kill-in-socket")
    world.keeper.pause()
    for _ in range(rng.randint(1, 2)):
        world.player.send(Errand("ping"))
    world.keeper.kill()


def kill_twice(world: World, rng: random.Random) -> None:
    """Kill -9, and again while its successor starts."""
    world.begin_fault("kill-twice", 2)
    lives = world.keeper.lives
    world.keeper.kill()
    world.keeper.wait_for_life(lives + 1)
    moments(rng, 3.0)
    world.keeper.kill()


def term(world: World, rng: random.Random) -> None:
    """SIGTERM, and what follows in good order."""
    moments(rng, 0.3)
    world.begin_fault("term")
    _ended_by(world, signal.SIGTERM)


def term_term(world: World, rng: random.Random) -> None:
    """SIGTERM, and once more for those in a hurry."""
    world.watch.wait(lambda: world.watch.busy, _BUSY_S)
    world.begin_fault("term-term")
    child = world.keeper.child
    world.keeper.signal(signal.SIGTERM)
    moments(rng, 0.3)
    if child.alive:
        child.ask_to_end()
    _must_end(world, child)


def term_kill(world: World, rng: random.Random) -> None:
    """SIGTERM, and kill -9 before it is done with it."""
    moments(rng, 0.3)
    world.begin_fault("term-kill")
    lives, child = world.keeper.lives, world.keeper.child
    world.keeper.signal(signal.SIGTERM)
    moments(rng, 0.5)
    if child.alive and world.keeper.lives == lives:
        world.keeper.kill()


def pause(world: World, rng: random.Random) -> None:
    """SIGSTOP for a moment that its lease outlives."""
    moments(rng, 0.2)
    world.begin_fault("pause")
    world.keeper.pause()
    time.sleep(rng.uniform(0.2, 7))
    world.keeper.resume()


def takeover(world: World, rng: random.Random) -> None:
    """SIGSTOP past its lease, another host takes over, SIGCONT: it must not go on as if nothing had been."""
    job = world.player.send(Errand("slow")) if rng.random() < 0.7 else None
    if job is not None:
        # What it was at is done by the other one, too: when it goes on, both are at it.
        world.watch.wait(lambda: world.watch.works_at(job, "a"), _WAIT_S)
    fault = world.begin_fault("takeover")
    world.keeper.pause()
    other = world.keep_worker("b")
    if not world.watch.wait(lambda: _took_over(world, fault, job), _TAKEOVER_S):
        world.notice("not taken over", f"nobody took over from a paused worker in {_TAKEOVER_S:.0f} s")
    moments(rng, 1.0)
    world.keeper.resume()
    moments(rng, 4.0)
    if other.end(_WAIT_S) is None:
        world.notice("hung", "the other host's worker did not end")


def standby(world: World, rng: random.Random) -> None:
    """Kill -9 of a worker that has a standby on its host."""
    waiting = world.keep_worker(SINGLETRACK_STANDBY="1")
    if not world.watch.wait(lambda: "stands by" in waiting.child.log_tail(), _WAIT_S):
        world.notice("no standby", "a second worker with SINGLETRACK_STANDBY=1 does not stand by")
    moments(rng, 0.5)
    world.begin_fault("standby")
    world.keeper.retire()
    world.keeper.kill()
    world.keeper = waiting


def second_worker(world: World, rng: random.Random) -> None:
    """One more worker on the same host, which has to refuse."""
    world.begin_fault("second-worker")
    log = f"second-{rng.getrandbits(32):08x}"
    child = world.own(world.subject.start_worker(world.folder, world.environ(), log))
    status = child.wait(_REFUSED_S)
    if status != EX_HELD:
        told = "serves as well" if status is None else f"ended with {status}"
        world.notice("second worker", f"a second worker on the same host {told}")
    child.stop(0)


def send_malformed(world: World, rng: random.Random) -> None:
    """Messages that are none, among those that are."""
    task, arguments = world.subject.good_task, world.subject.good_arguments
    by_hand = malformed.by_hand(task, arguments)
    chosen = rng.sample(sorted(by_hand), _BULK)
    by_chance = [malformed.by_chance(rng, task, arguments) for _ in range(_BULK)]
    bad = [by_hand[name] for name in chosen]
    if rng.random() < 0.05:
        bad.append(malformed.huge(task, arguments))
    pushed = [*bad, *by_chance]
    rng.shuffle(pushed)
    world.begin_fault("malformed", len(pushed))
    world.malformed += bad
    push(world, pushed)


def poison(world: World, rng: random.Random) -> None:
    """A job that kills its worker whenever it is begun."""
    world.begin_fault("poison")
    # It kills three workers, and waits behind all that is there before the last one.
    job = world.player.send(Errand("poison", timeout_s=POISON_S))
    if job is None:
        return
    world.watch.wait(lambda: job in world.player.told, POISON_S + PATIENT_S)
    told = world.player.told.get(job, "nothing")
    if world.subject.ours and told != "DeadLettered":
        world.notice("poison", f"the caller of a job that kills its worker was told {told or 'a result'}")


def backlog(world: World, rng: random.Random) -> None:
    """A burst of many jobs."""
    world.begin_fault("backlog")
    for _ in range(_BACKLOG):
        world.player.send(Errand(rng.choice(("ping", "ping", "embed")), word=f"{rng.getrandbits(64):x}"))


def duplicate(world: World, rng: random.Random) -> None:
    """Messages that come twice, new ones and such as were served long ago."""
    world.keeper.pause()
    try:
        for _ in range(_BURST):
            world.player.send(Errand(rng.choice(("ping", "embed", "ask")), word=f"{rng.getrandbits(64):x}"))
        with world.connect() as connection:
            waiting: Any = connection.lrange(world.subject.queue, 0, -1)
            fresh = [raw for raw in waiting if raw not in world.malformed][-_BURST:]
            old = rng.sample(world.raw_messages, min(_BURST, len(world.raw_messages)))
            copies = [*fresh, *old, *rng.sample(fresh, min(1, len(fresh)))]
            world.begin_fault("duplicate", len(copies) or 1)
            push(world, copies)
            world.raw_messages += fresh
    finally:
        world.keeper.resume()


def step_clock(world: World, rng: random.Random) -> None:
    """The worker's wall clock jumps by an hour, and back the next time."""
    world.begin_fault("step-clock")
    now = world.clock.read_text(encoding="utf-8")
    world.clock.write_text(str(rng.choice((HOUR_S, -HOUR_S))) if now == "0" else "0", encoding="utf-8")


KINDS: dict[str, Kind] = {
    "kill-idle": Kind(kill_idle, 6, stock=True),
    "kill-busy": Kind(kill_busy, 10, stock=True),
    "kill-any": Kind(kill_any, 6, stock=True),
    "kill-in-socket": Kind(kill_in_socket, 6, stock=True),
    "kill-twice": Kind(kill_twice, 2, stock=True),
    "term": Kind(term, 3, stock=True),
    "term-term": Kind(term_term, 2),
    "term-kill": Kind(term_kill, 3, stock=True),
    "pause": Kind(pause, 1.5),
    "takeover": Kind(takeover, 0.6),
    "standby": Kind(standby, 1),
    "second-worker": Kind(second_worker, 1),
    "malformed": Kind(send_malformed, 4, stock=True),
    "poison": Kind(poison, 1, stock=True),
    "backlog": Kind(backlog, 1, stock=True),
    "duplicate": Kind(duplicate, 6, stock=True),
    "step-clock": Kind(step_clock, 2),
    **servers.KINDS,
    **messages.KINDS,
    **control.KINDS,
    **stops.KINDS,
    **locks.KINDS,
    **losses.KINDS,
    **clocks.KINDS,
    **forks.KINDS,
}


def _took_over(world: World, fault: Fault, job: str | None) -> bool:
    if job is not None:
        return world.watch.works_at(job, "b")
    return world.watch.done_since(fault.at_ns, "b") is not None


def _until_idle(world: World) -> None:
    world.watch.wait(lambda: not world.watch.busy, _IDLE_S)


def _ended_by(world: World, number: signal.Signals) -> None:
    child = world.keeper.child
    world.keeper.signal(number)
    _must_end(world, child)


def _must_end(world: World, child: Child) -> None:
    if child.wait(_WAIT_S) is None:
        world.notice("hung", "the worker did not end when it was asked to")
        world.keeper.kill()
