"""Messages that are none: written by hand, one for each way in which a message can be wrong, and drawn by chance."""

import base64
import json
import random
import uuid
from collections.abc import Callable
from typing import Any, TypeGuard

# Longer than any message that a worker should read.
HUGE_BYTES = 17 * 1024 * 1024
_DEPTH = 100_000

Change = Callable[[dict[str, Any]], object]


def good(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Make a message as Celery sends it."""
    job = str(uuid.uuid4())
    return {
        "body": body([[], arguments, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": job,
            "root_id": job,
            "parent_id": None,
            "group": None,
            "eta": None,
            "expires": None,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "origin": "malformed",
            "ignore_result": True,
        },
        "properties": {
            "correlation_id": job,
            "reply_to": str(uuid.uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "gpu"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }


def body(content: object) -> str:
    """Give the body of a message."""
    return base64.b64encode(json.dumps(content).encode()).decode()


def _embedding(what: str, content: object) -> Change:
    """Have something done after the task."""
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None, what: content}
    return lambda message: message.update(body=body([[], {"request": {}}, embed]))


_FOLLOWER: dict[str, Any] = {
    "task": "gpu.ping",
    "args": [],
    "kwargs": {},
    "options": {},
    "subtask_type": None,
    "immutable": False,
}

# Each of these leaves a message that nobody could have meant.
CHANGES: dict[str, Change] = {
    "no body": lambda message: message.pop("body"),
    "no headers": lambda message: message.pop("headers"),
    "no properties": lambda message: message.pop("properties"),
    "headers that are a list": lambda message: message.update(headers=[]),
    "properties that are a number": lambda message: message.update(properties=7),
    "bad base64": lambda message: message.update(body="%%% this is no base64"),
    "a body that is no JSON": lambda message: message.update(body=base64.b64encode(b"\xff\xfe{").decode()),
    "a body that is no list": lambda message: message.update(body=body({"request": {}})),
    "a body of two parts": lambda message: message.update(body=body([[], {}])),
    "a body that is null": lambda message: message.update(body=None),
    "arguments that are a string": lambda message: message.update(body=body(["args", {}, {}])),
    "no task": lambda message: message["headers"].pop("task"),
    "a task that is a number": lambda message: message["headers"].update(task=7),
    "an unknown task": lambda message: message["headers"].update(task="gpu.nonsense"),
    "an id that is null": lambda message: message["headers"].update(id=None),
    "an id that is a list": lambda message: message["headers"].update(id=["a"]),
    "an eta": lambda message: message["headers"].update(eta="2050-01-01T00:00:00"),
    "an expiry that is no time": lambda message: message["headers"].update(expires="tomorrow"),
    "a compression": lambda message: message["headers"].update(compression="application/x-bz2"),
    "an unknown encoding": lambda message: message["properties"].update(body_encoding="rot13"),
    "callbacks": _embedding("callbacks", [_FOLLOWER]),
    "a chord": _embedding("chord", _FOLLOWER),
    "a chain": _embedding("chain", [_FOLLOWER]),
}
RAW: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"this is no JSON",
    "binary": bytes(range(256)),
    "JSON null": b"null",
    "a JSON list": b"[1, 2, 3]",
    "a JSON string": b'"gpu.ping"',
    "deep nesting": b"[" * _DEPTH + b"]" * _DEPTH,
    "half a message": json.dumps(good("gpu.ping", {"request": {}})).encode()[:200],
}


def by_hand(task: str, arguments: dict[str, Any]) -> dict[str, bytes]:
    """Give one message for each way in which it can be wrong, for a task and its arguments."""
    made = dict(RAW)
    for name, change in CHANGES.items():
        message = good(task, arguments)
        change(message)
        made[name] = json.dumps(message).encode()
    return made


def huge(task: str, arguments: dict[str, Any]) -> bytes:
    """Give a message that is right in all but its size."""
    message = good(task, {**arguments, "ballast": "x" * HUGE_BYTES})
    return json.dumps(message).encode()


def by_chance(rng: random.Random, task: str, arguments: dict[str, Any]) -> bytes:
    """Spoil a good message in some way; what comes out may still be one."""
    message = good(task, arguments)
    match rng.randrange(4):
        case 0:
            raw = bytearray(json.dumps(message).encode())
            for _ in range(rng.randint(1, 8)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            return bytes(raw)
        case 1:
            raw_text = json.dumps(message).encode()
            return raw_text[: rng.randrange(len(raw_text))]
        case 2:
            return json.dumps(_any_json(rng, 3)).encode()
        case _:
            _spoil(rng, message)
            return json.dumps(message).encode()


def _spoil(rng: random.Random, message: dict[str, Any]) -> None:
    """Put something else in the place of one or two values."""
    for _ in range(rng.randint(1, 2)):
        part = rng.choice(
            [one for one in (message, message.get("headers"), message.get("properties")) if _is_full(one)]
        )
        name = rng.choice(sorted(part))
        if rng.random() < 0.3:
            del part[name]
        else:
            part[name] = _any_json(rng, 2)


def _is_full(part: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(part, dict) and bool(part)


def _any_json(rng: random.Random, depth: int) -> object:
    leaves: list[object] = [None, True, -1, 1e308, "", "text", "\ud800", 10**30, {}, []]
    if depth == 0 or rng.random() < 0.5:
        return rng.choice(leaves)
    if rng.random() < 0.5:
        return [_any_json(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    return {rng.choice("abcd"): _any_json(rng, depth - 1) for _ in range(rng.randint(1, 3))}
