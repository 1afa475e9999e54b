"""Messages of real jobs, spoiled by chance."""

import json
import random
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# Longer than any message that a worker should read, by far.
LONG_BYTES = 50 * 1024 * 1024
_DEEP = 2000
_ODD: tuple[bytes, ...] = (b"NaN", b"-Infinity", b"null", b"1e999", b"[]", b'{"a":{}}', b'"\\ud800"', b"7")


def mutants(rng: random.Random, originals: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Give that many, under ids that nobody waits for; some are still right."""
    for _ in range(count):
        raw = renamed(rng, rng.choice(originals))
        for _ in range(rng.choice((1, 1, 2, 5))):
            raw = rng.choice(CHANGES)(rng, raw)
        yield raw


def renamed(rng: random.Random, raw: bytes) -> bytes:
    """Give the message of another job, equal in all but its ids."""
    new: dict[bytes, bytes] = {}

    def other(found: re.Match[bytes]) -> bytes:
        return new.setdefault(found[0], str(uuid.UUID(int=rng.getrandbits(128), version=4)).encode())

    return _UUID.sub(other, raw)


def long(raw: bytes) -> bytes:
    """Give the message with a header that nobody should read to its end."""
    return raw.replace(b'"headers": {', b'"headers": {"ballast": "' + b"x" * LONG_BYTES + b'", ', 1)


def truncated(rng: random.Random, raw: bytes) -> bytes:
    """Cut off its end."""
    return raw[: rng.randrange(len(raw) + 1)]


def flipped(rng: random.Random, raw: bytes) -> bytes:
    """Turn some of its bits."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 8) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def nested(rng: random.Random, raw: bytes) -> bytes:
    """Put one of its values so many levels deeper."""
    depth = rng.randrange(1, _DEEP)
    return _with_value(rng, raw, lambda value: b"[" * depth + value + b"]" * depth)


def odd(rng: random.Random, raw: bytes) -> bytes:
    """Put something else in the place of one of its values."""
    return _with_value(rng, raw, lambda _: rng.choice(_ODD))


def twice(rng: random.Random, raw: bytes) -> bytes:
    """Give one of its names two values."""
    found = list(re.finditer(rb'("\w+"): ', raw))
    if not found:
        return raw
    place = rng.choice(found)
    return raw[: place.start()] + place[1] + b": " + rng.choice(_ODD) + b", " + raw[place.start() :]


def doubled(rng: random.Random, raw: bytes) -> bytes:
    """Put two of it into one."""
    return raw + rng.choice((b"", b"\n", b",")) + raw


def without_a_part(rng: random.Random, raw: bytes) -> bytes:
    """Leave out a part of it, or of its headers or properties."""
    try:
        message: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(message, dict):
        return raw
    parts = [part for part in (message, *message.values()) if isinstance(part, dict) and part]
    if parts:
        part = rng.choice(parts)
        del part[rng.choice(sorted(part))]
    return json.dumps(message).encode()


CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    truncated,
    flipped,
    nested,
    odd,
    twice,
    doubled,
    without_a_part,
)


def _with_value(rng: random.Random, raw: bytes, change: Callable[[bytes], bytes]) -> bytes:
    found = list(re.finditer(rb'": ("[^"\\]*"|[\d.]+|null|true|false)', raw))
    if not found:
        return raw
    place = rng.choice(found)
    return raw[: place.start(1)] + change(place[1]) + raw[place.end(1) :]
