"""Messages of the contract, spoiled by chance: in their bytes, their parts, and what Celery could take for its own."""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

from celery.app.task import Context

from tests.unit.worker.messages import message

# A request for each task that is quick to run, and right as it is.
REQUESTS: dict[str, dict[str, Any]] = {
    "gpu.ping": {},
    "gpu.mode.set": {"mode": "IDLE"},
    "gpu.vlm.ask": {"prompt": "hello", "deadline_unix_s": 1.0},
    "gpu.vlm.load": {"deadline_unix_s": 1.0},
    "gpu.embed.texts": {"texts": ["a text"]},
    "gpu.clip.device": {},
    "gpu.upkeep.tick": {},
}
# Whatever of these stood in a message, Celery would take for its own request's.
CELERYS = [*sorted(name for name in vars(Context) if not name.startswith("__")), "compression", "redelivered", "meth"]
FOLLOWS = ("callbacks", "errbacks", "chain", "chord")
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**63, 10**400, 1e308, float("inf"), float("nan")),
    *("", " ", "text", "\x00", "\ud800", "é" * 300, "x" * 5000, "__type__", "gpu.ping", "celery.map"),
    *("1970-01-01T00:00:00", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "2030-01-01", "20300101"),
    *([], {}, [None], [[]], [None, None], {"": {}}, [{"task": "gpu.ping"}], {"task": "gpu.ping"}, {"id": "another"}),
    *({"__type__": "decimal", "__value__": "1E99"}, {"__type__": [], "__value__": {}}, {"self": 1}),
)
_DEEPEST = 600


def spoiled(seed: int, count: int) -> Iterator[bytes]:
    """Messages as they lie on the queue; some are still right."""
    rng = random.Random(seed)
    for _ in range(count):
        task = rng.choice(sorted(REQUESTS))
        whole = message(task)
        parts: list[Any] = [[], {"request": REQUESTS[task]}, dict.fromkeys(FOLLOWS)]
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            rng.choice((_set_odd, _set_odd, _insert, _insert, _remove))(rng, whole, parts)
        if rng.random() < 0.15:
            _nest(rng, whole, parts)
        text = json.dumps(parts)
        if rng.random() < 0.1:
            text = _flipped(rng, text.encode()).decode("latin-1")
        if isinstance(whole.get("body"), str) and whole["body"] not in ODD:
            whole["body"] = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        yield _bytes(rng, json.dumps(whole).encode())


def _bytes(rng: random.Random, raw: bytes) -> bytes:
    match rng.randrange(10):
        case 0:
            return raw[: rng.randrange(len(raw))]
        case 1:
            return _flipped(rng, raw)
        case _:
            return raw


def _flipped(rng: random.Random, raw: bytes) -> bytes:
    """The bytes with some bits the other way."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _places(*roots: Any) -> list[tuple[Any, Any]]:
    """Every container below, with each of its keys or indices."""
    found: list[tuple[Any, Any]] = []
    waiting = list(roots)
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        found += [(here, key) for key in keys]
        waiting += [here[key] for key in keys if isinstance(here[key], dict | list)]
    return found


def _set_odd(rng: random.Random, whole: dict[str, Any], parts: list[Any]) -> None:
    if places := _places(whole, parts):
        here, key = rng.choice(places)
        here[key] = _copy(rng.choice(ODD))


def _insert(rng: random.Random, whole: dict[str, Any], parts: list[Any]) -> None:
    """Add a part where Celery might look for it."""
    places = [whole.get("headers"), whole.get("properties"), *parts[1:]]
    dicts = [place for place in places if isinstance(place, dict)]
    if dicts:
        rng.choice(dicts)[rng.choice([*CELERYS, *FOLLOWS, "request", "self"])] = _copy(rng.choice(ODD))


def _remove(rng: random.Random, whole: dict[str, Any], parts: list[Any]) -> None:
    if places := _places(whole, parts):
        here, key = rng.choice(places)
        del here[key]


def _nest(rng: random.Random, whole: dict[str, Any], parts: list[Any]) -> None:
    """Put a value so many levels deeper."""
    if places := _places(whole, parts):
        here, key = rng.choice(places)
        value = here[key]
        for _ in range(rng.randrange(_DEEPEST)):
            value = [value] if rng.random() < 0.5 else {"a": value}
        here[key] = value


def _copy(value: Any) -> Any:
    return type(value)(value) if isinstance(value, dict | list) else value
