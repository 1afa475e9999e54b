"""What a run leaves behind: in Redis, and among the processes of this machine."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import psutil
import redis

from singletrack_tasks.dead_letter import PAYLOAD_MAX_BYTES, DeadLetter
from singletrack_tasks.keys import DEAD_MAX, Keys
from tests.faults import places
from tests.faults.history import Accepted, Final, Noticed, Record, now_ns
from tests.faults.recording import digest_of
from tests.faults.subjects import TRACK, Subject
from tests.integration.test_worker_keys import GONE, SECONDS, row_of, size

if TYPE_CHECKING:
    from tests.faults.world import World

# What a list, set or hash may have that goes when it is empty.
MOST_ENTRIES = 10


def finals(connection: redis.Redis, subject: Subject, records: Sequence[Record]) -> Iterator[Final]:
    """What lies in Redis of every job that was accepted."""
    jobs = [record.job for record in records if isinstance(record, Accepted)]
    if not jobs:
        return
    stored: Any = connection.mget([f"{subject.results}{job}" for job in jobs])
    for job, raw in zip(jobs, stored, strict=True):
        if raw is not None:
            meta = json.loads(raw)
            yield Final(job, meta["status"], digest_of(meta))


def look(world: "World", connection: redis.Redis) -> Iterator[Noticed]:
    """Everything that should not be there when clients and worker have ended."""
    texts = list(_processes(world.run))
    texts += [f"{size(connection, world.subject.queue)} messages on the queue"] * bool(
        connection.exists(world.subject.queue)
    )
    if world.subject.ours:
        texts += _keys(connection, world.database.most_off_s, evicted=world.evicted)
        texts += _unburied(connection, world.malformed)
    for text in texts:
        yield Noticed(now_ns(), "left over", text)


def _keys(connection: redis.Redis, most_off_s: int, *, evicted: bool) -> Iterator[str]:
    prefix = Keys(TRACK).prefix
    for name in connection.scan_iter(f"{prefix}*", count=1000):
        short = name.decode().removeprefix(prefix)
        if short.startswith("taken:") and not evicted:
            # A Redis that evicts may forget who held a message, and keep that.
            yield f"{size(connection, name.decode())} messages in {short}"
        try:
            spec = row_of(short)
        except AssertionError as error:
            yield str(error)
            continue
        yield from _unbounded(connection, name.decode(), spec.bound, most_off_s)
    for name in connection.scan_iter(count=1000):
        if not name.decode().startswith("singletrack:"):
            yield f"{name.decode()} is no key of a track"


def _unbounded(connection: redis.Redis, name: str, bound: str, most_off_s: int) -> Iterator[str]:
    """What was written while the clock was ahead goes so much later; one that was behind makes no difference."""
    limits = SECONDS.findall(bound)
    if limits:
        left_s = connection.ttl(name)
        if left_s != GONE and not 0 <= int(str(left_s)) <= int(limits[-1]) + 2 * most_off_s:
            yield f"{name} lives {left_s} s, and it is bound to {bound}"
    elif size(connection, name) > MOST_ENTRIES:
        yield f"{name} has {size(connection, name)} entries, and it is bound to {bound}"


def _unburied(connection: redis.Redis, malformed: Sequence[bytes]) -> Iterator[str]:
    """What was no message and is not among the dead letters, as far as these are kept."""
    entries: Any = connection.xrange(Keys(TRACK).dead)
    letters = {DeadLetter.model_validate_json(fields[b"letter"]).raw() for _, fields in entries}
    for raw in malformed[-(DEAD_MAX // 2) :]:
        if raw[:PAYLOAD_MAX_BYTES] not in letters:
            yield f"a malformed message is gone without a letter: {re.sub(rb'[^ -~]', b'.', raw[:80]).decode()}"


def _processes(run: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            mine = process.environ().get(places.RUN) == run and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue  # gone meanwhile, or somebody else's
        if mine:
            yield f"process {process.pid}: {' '.join(process.cmdline())[:120]}"
