"""Reads messages off the wire and rejects those that do not match the contract.

Celery's message protocol, version 2, in kombu's envelope:
https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

import base64
import binascii
import json
import uuid
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from singletrack_tasks.keys import QUEUE
from singletrack_tasks.message import describe_problems
from singletrack_tasks.requests.catalogue import outline
from singletrack_tasks.text import writable
from singletrack_worker.delivery.identity import ID_CHARS, NOBODY, MessageIdentity, identity_of, identity_of_end

# Images travel as keys, and 256 texts of a request are a few MB at most.
MESSAGE_MAX_BYTES = 16 * 1024 * 1024
# Python reads about a thousand levels, fewer the deeper it stands itself: what is read here has to be readable there.
NESTED_MAX = 250
# Several times what the largest valid request has. Each that is wrong costs the worker a KB and some microseconds.
VALUES_MAX = 20_000
_SHOWN_CHARS = 200
# How Celery's JSON names the type of an object.
_TYPED = {"__type__", "__value__"}


class Unreadable(Exception):
    """A message that does not match the contract, with as much of its identity as can be read."""

    def __init__(self, reason: str, identity: MessageIdentity = NOBODY) -> None:
        super().__init__(reason)
        self.reason = reason
        self.identity = identity


@dataclass(frozen=True)
class Envelope:
    """A message that can be run; `payload` is rebuilt from the checked parts alone."""

    job_id: str
    task: str
    tag: str
    payload: dict[str, Any]


class _Lenient(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Headers(_Lenient):
    id: str
    task: str
    eta: None = None
    expires: str | None = None
    compression: None = None
    ignore_result: bool | None = None
    origin: str | None = None


class _Properties(_Lenient):
    body_encoding: str | None = None


class _Message(_Lenient):
    body: str
    headers: _Headers
    properties: _Properties


_Nothing = Annotated[list[Any], Field(max_length=0)] | None


class _Embed(_Lenient):
    """What Celery would do after the task; all of it is refused, since it could send anything."""

    callbacks: _Nothing = None
    errbacks: _Nothing = None
    chain: _Nothing = None
    chord: _Nothing = None


# Positional arguments, keyword arguments, what to do afterwards.
_Body = TypeAdapter(tuple[list[Any], dict[str, Any], _Embed])
# Celery takes everything in there for a part of the request, its id included: none of the sender's goes in.
_NOTHING_FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def read(raw: bytes, tasks: Container[str]) -> Envelope:
    """Read a message for one of `tasks`; raises `Unreadable`."""
    data = _decode(raw)
    identity = identity_of(data)
    try:
        return _checked(data, identity, tasks)
    except ValidationError as error:
        raise Unreadable(describe_problems("the message", error), identity) from None
    except Exception as error:
        # Whatever is wrong with a message must cost the message, never the worker.
        raise Unreadable(str(error)[:_SHOWN_CHARS], identity) from None


def _decode(raw: bytes) -> Any:
    if len(raw) > MESSAGE_MAX_BYTES:
        reason = f"the message has {len(raw)} bytes; at most {MESSAGE_MAX_BYTES} are accepted"
        raise Unreadable(reason, identity_of_end(raw))
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the message is not JSON: {error}") from None


def _checked(data: Any, identity: MessageIdentity, tasks: Container[str]) -> Envelope:
    message = _Message.model_validate(data)
    args, kwargs = _arguments(message)
    expires = _expires(message.headers.expires)
    job_id, task = identity.job_id, message.headers.task
    if job_id is None or job_id != message.headers.id:
        raise ValueError(f"its id is empty, longer than {ID_CHARS} characters, or cannot be printed")
    if task not in tasks:
        raise ValueError(f"unknown task {task[:_SHOWN_CHARS]!r}")
    body = base64.b64encode(json.dumps([args, kwargs, _NOTHING_FOLLOWS]).encode()).decode("ascii")
    tag = uuid.uuid4().hex
    return Envelope(job_id, task, tag, _payload(message, body, outline(task, kwargs.get("request")), expires, tag))


def _arguments(message: _Message) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments of a body, [args, kwargs, embed]; raises `ValueError`."""
    encoding = message.properties.body_encoding
    if encoding not in (None, "base64", "utf-8"):
        raise ValueError(f"unknown body encoding {encoding[:_SHOWN_CHARS]!r}")
    try:
        body = base64.b64decode(message.body, validate=True) if encoding == "base64" else message.body.encode()
        parts = json.loads(body.decode("utf-8"))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise ValueError(f"its body is not JSON: {error}") from None
    args, kwargs, _ = _Body.validate_python(parts)
    _refuse_what_celery_reads_otherwise([args, kwargs])
    if "self" in kwargs:
        raise ValueError("the keyword 'self' is the task's own")
    return args, kwargs


def _refuse_what_celery_reads_otherwise(value: Any) -> None:
    """Raise `ValueError` for a value too large or too deep, or one that Celery would make an object of a type of."""
    level, levels, values = [value], 0, 0
    while level:
        levels += 1
        values += sum(len(parts) for parts in level)
        if levels > NESTED_MAX:
            raise ValueError(f"its body is nested more than {NESTED_MAX} levels deep")
        if values > VALUES_MAX:
            raise ValueError(f"its body has more than {VALUES_MAX} values in all")
        if any(isinstance(part, dict) and part.keys() == _TYPED for part in level):
            # A decimal number of this kind takes a GB to become an integer.
            raise ValueError("its body has an object of a type (`__type__`); only plain JSON is accepted")
        level = [part for parts in level for part in _parts(parts) if isinstance(part, dict | list)]


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _expires(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:_SHOWN_CHARS]!r} is not a valid expiry time") from None
    # Celery cannot read offsets with seconds.
    return moment.isoformat() if moment.tzinfo is None else moment.astimezone(UTC).isoformat()


def _shown(text: str) -> str:
    """Make a text fit for logs and Flower: short, and without characters that cannot be encoded."""
    return writable(text[:_SHOWN_CHARS])


def _payload(message: _Message, body: str, summary: str, expires: str | None, tag: str) -> dict[str, Any]:
    headers = message.headers
    return {
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "lang": "py",
            "id": headers.id,
            "root_id": headers.id,
            "parent_id": None,
            "group": None,
            "task": headers.task,
            "eta": None,
            "expires": expires,
            "retries": 0,
            "timelimit": [None, None],
            "ignore_result": bool(headers.ignore_result),
            # Logs and Flower show these: our own summary, since a plain Celery app puts whole prompts here.
            "argsrepr": "()",
            "kwargsrepr": summary or "{}",
            "origin": _shown(headers.origin or ""),
        },
        "properties": {
            "correlation_id": headers.id,
            "reply_to": None,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": tag,
        },
    }
