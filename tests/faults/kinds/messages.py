"""What others put on the queue: Celery's own tasks, messages that chance has spoiled, questions of great cost."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery, chunks, xmap, xstarmap

from singletrack_tasks.keys import QUEUE, Keys
from tests.faults import malformed
from tests.faults.errands import COSTLY, Errand
from tests.faults.kinds.kind import Kind, ending, must_be_answered, push
from tests.faults.kinds.mutants import long, mutants, renamed
from tests.faults.report import FUZZED
from tests.faults.subjects import TRACK
from tests.faults.world import World, moments
from tests.integration.worker_tools import foreign_producer
from tests.unit.worker.spoiled import FOLLOWS, spoiled

# Sends something that has no place on a track's queue; gives the id that its caller waits for.
Send = Callable[[World, Celery, random.Random], str]

_SPOILED = 25
_MUTANTS = 25
_ORIGINALS = ("ping", "embed", "ask", "mode", "find")
_BURST = 6


def odd_tasks(world: World, rng: random.Random) -> None:
    """A plain producer sends Celery's own tasks, and work that others are to follow: whoever waits is told at once."""
    chosen = rng.choices(_ODD, k=_BURST)
    world.begin_fault("odd-tasks", len(chosen))
    with foreign_producer(world.url, TRACK) as producer:
        sent = [(send.__name__, send(world, producer, rng)) for send in chosen]
        for name, job in sent:
            error = ending(world, job)
            if error != "DeadLettered":
                world.notice("odd task", f"who sent{name.replace('_', ' ')} was told {error or 'nothing'}")
    must_be_answered(world, "odd tasks")


def fuzz(world: World, rng: random.Random) -> None:
    """A batch of messages that chance has spoiled, and a good job after it."""
    originals = _originals(world, rng)
    batch = [*spoiled(rng.getrandbits(32), _SPOILED), *mutants(rng, originals, _MUTANTS)]
    batch += _of_ended_jobs(world, rng)
    if rng.random() < 0.1:
        batch.append(long(renamed(rng, originals[0])))
    rng.shuffle(batch)
    world.begin_fault(FUZZED, len(batch))
    push(world, batch)
    must_be_answered(world, "fuzzed messages")


def evil_schema(world: World, rng: random.Random) -> None:
    """Questions whose schema takes for ever to check; those that wait behind them must not pay for it."""
    world.begin_fault("evil-schema")
    for kind in rng.sample(COSTLY, 2):
        cancel_after_s = rng.uniform(0, 1) if rng.random() < 0.5 else None
        world.player.send(Errand(kind, rng.uniform(0.3, 4), f"{rng.getrandbits(64):x}", cancel_after_s))
    moments(rng, 1.0)
    must_be_answered(world, "questions with costly schemas")


KINDS = {
    "odd-tasks": Kind(odd_tasks, 2),
    FUZZED: Kind(fuzz, 3),
    # A worker that cannot break such a check off stands still for minutes.
    "evil-schema": Kind(evil_schema, 0),
}


def _originals(world: World, rng: random.Random) -> list[bytes]:
    """Take the messages of some jobs as they lie on the queue."""
    world.keeper.pause()
    try:
        for kind in _ORIGINALS:
            world.player.send(Errand(kind, word=f"{rng.getrandbits(64):016x}"))
        with world.connect() as connection:
            waiting: Any = connection.lrange(world.subject.queue, 0, len(_ORIGINALS) - 1)
    finally:
        world.keeper.resume()
    return [raw for raw in waiting if raw not in world.malformed] or [_good(world)]


def _of_ended_jobs(world: World, rng: random.Random) -> list[bytes]:
    """Spoil messages under the ids of jobs that have their results: what these are must not change."""
    with world.connect() as connection:
        ended = [raw for raw in world.raw_messages if connection.exists(Keys(TRACK).result(_id_of(raw)))]
    found = []
    for raw in rng.sample(ended, min(2, len(ended))):
        message = json.loads(raw)
        message["headers"][rng.choice(("task", "eta", "retries", "group"))] = rng.choice(("celery.map", 7, [], None))
        found.append(json.dumps(message).encode())
    return found


def _id_of(raw: bytes) -> str:
    return str(json.loads(raw)["headers"]["id"])


def _good(world: World) -> bytes:
    return json.dumps(malformed.good(world.subject.good_task, world.subject.good_arguments)).encode()


def _a_task_of_celerys_own(world: World, producer: Celery, rng: random.Random) -> str:
    name = rng.choice(sorted(name for name in producer.tasks if name.startswith("celery.")))
    arguments: dict[str, Any] = {"task": _ping(producer), "it": [{}]} if rng.random() < 0.5 else {}
    return str(producer.send_task(name, kwargs=arguments).id)


def _a_task_many_times(world: World, producer: Celery, rng: random.Random) -> str:
    many: Any = rng.choice((xmap, xstarmap, chunks))
    more = {"n": rng.randint(1, 3)} if many is chunks else {}
    sent = many(_ping(producer), [{}, {}], app=producer, **more).apply_async(queue=QUEUE)
    # Chunks are sent as a group, which has no message of its own.
    return str(rng.choice(sent.results).id if many is chunks else sent.id)


def _a_task_with_followers(world: World, producer: Celery, rng: random.Random) -> str:
    how = rng.choice(("link", "link_error", "chord"))
    followers: Any = _ping(producer)
    return str(producer.send_task("gpu.ping", kwargs={"request": {}}, **{how: followers}).id)


def _a_chain(world: World, producer: Celery, rng: random.Random) -> str:
    links: Sequence[Any] = [_ping(producer) for _ in range(rng.randint(2, 4))]
    chain = links[0]
    for link in links[1:]:
        chain = chain | link
    result = chain.apply_async(queue=QUEUE)
    while result.parent is not None:
        result = result.parent
    return str(result.id)


def _a_body_that_names_followers(world: World, producer: Celery, rng: random.Random) -> str:
    message = malformed.good("gpu.ping", {"request": {}})
    follower: Any = rng.choice(([None], [{}], {"task": None}, "gpu.ping", [[None]], {"task": "gpu.ping"}, 7))
    embed: dict[str, Any] = dict.fromkeys(FOLLOWS) | {rng.choice(FOLLOWS): follower}
    message["body"] = malformed.body([[], {"request": {}}, embed])
    push(world, [json.dumps(message).encode()])
    return str(message["headers"]["id"])


def _ping(producer: Celery) -> Any:
    return producer.signature("gpu.ping", kwargs={"request": {}}, immutable=True)


_ODD: tuple[Send, ...] = (
    _a_task_of_celerys_own,
    _a_task_many_times,
    _a_task_with_followers,
    _a_chain,
    _a_body_that_names_followers,
)
