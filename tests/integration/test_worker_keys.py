"""What a run leaves in Redis: every key is in the table, and every one has a time to live or a bound."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from PIL import Image

from singletrack import Client
from singletrack_ops.stack import Stack
from singletrack_tasks import errors
from singletrack_tasks.keys import EVENTS_MAX, TABLE, Keys, KeySpec
from tests.integration.worker_tools import foreign_producer, inspected, submit_endless

pytestmark = pytest.mark.ollama

SECONDS = re.compile(r"(\d+) s\b")
# What Redis's TTL says of a key that went since it was listed; -1, of one that has no time to live.
GONE = -2


def row_of(name: str) -> KeySpec:
    """The one row of the table that a key, without the track's prefix, belongs to."""
    found = [spec for spec in TABLE if re.fullmatch(as_regex(spec.pattern), name)]
    assert found, f"{name} is in no row of the table"
    return min(found, key=lambda spec: "*" in spec.pattern)


def as_regex(pattern: str) -> str:
    return "".join(_part_as_regex(part) for part in re.split(r"(\{\w+\}|\*)", pattern))


def _part_as_regex(part: str) -> str:
    if part == "*":
        return ".*"
    if part == "{job}":
        # Other producers' ids may be of any characters, and whoever waits under one gets an answer.
        return "(?s:.+)"
    return "[^:]+" if part.startswith("{") else re.escape(part)


@pytest.fixture
def connection(stack: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.redis_url) as made:
        yield made


def a_bit_of_everything(client: Client, stack: Stack) -> None:
    client.set_mode("RECORDING")
    client.ask("hello", [Image.new("RGB", (8, 8))], options={"max_tokens": 1})
    client.embed_images([Image.new("RGB", (8, 8), "red")])
    client.embed_texts(["a text"])
    with pytest.raises(errors.UnknownModel):
        client.ask("hello", model="other")
    submit_endless(client).cancel()
    with foreign_producer(stack.redis_url, client.track) as app:
        app.send_task("gpu.vlm.ask", kwargs={"request": {}}, ignore_result=True)
        app.send_task("gpu.ping", kwargs={"request": {}}, expires=-1)
    inspected(stack, "stats")
    client.ping()


def test_no_key_is_without_a_time_to_live_or_a_bound(client: Client, stack: Stack, connection: redis.Redis) -> None:
    a_bit_of_everything(client, stack)
    prefix = Keys(client.track).prefix
    names = [name.decode() for name in connection.scan_iter(f"{prefix}*", count=1000)]
    seen = {row_of(name.removeprefix(prefix)).pattern for name in names}
    assert {"blob:{sha256}", "vector:{fingerprint}:{sha256}", "status", "state", "events", "cancel:{job}"} <= seen
    for name in names:
        spec = row_of(name.removeprefix(prefix))
        limits = SECONDS.findall(spec.bound)
        if limits:
            left_s = connection.ttl(name)
            assert left_s == GONE or 0 <= left_s <= int(limits[-1]), f"{name}: {spec.bound}"
        else:
            assert size(connection, name) <= 10, f"{name}: {spec.bound}"
    assert connection.xlen(f"{prefix}events") <= EVENTS_MAX


def size(connection: redis.Redis, name: str) -> int:
    """How many entries a list, set, sorted set or hash has; the last one takes its key away with it."""
    kind: Any = connection.type(name)
    if kind == b"none":
        return 0
    command = {b"list": "LLEN", b"set": "SCARD", b"zset": "ZCARD", b"hash": "HLEN"}[kind]
    return int(connection.execute_command(command, name))  # type: ignore[no-untyped-call] # redis-py leaves it untyped


def test_asking_the_worker_again_and_again_adds_no_bindings(
    client: Client, stack: Stack, connection: redis.Redis
) -> None:
    pattern = f"{Keys(client.track).prefix}_kombu.binding.*"

    def bindings() -> int:
        return sum(size(connection, name.decode()) for name in connection.scan_iter(pattern))

    with foreign_producer(stack.redis_url, client.track) as app:
        app.control.ping(timeout=30, limit=1)
    before = bindings()
    for _ in range(3):
        with foreign_producer(stack.redis_url, client.track) as app:
            assert app.control.ping(timeout=30, limit=1)
    assert bindings() <= before


def test_nothing_lies_outside_the_tracks(client: Client, connection: redis.Redis) -> None:
    """Tracks share a Redis with each other, and with other apps: Celery's own keys have the prefix, too."""
    names = [name.decode() for name in connection.scan_iter(count=1000)]
    celerys = [name for name in names if name.startswith(("celery", "_kombu", "unacked", "gpu"))]
    assert celerys == []
