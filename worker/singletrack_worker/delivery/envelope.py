"""Reads messages off the wire and rejects those that do not match the contract.

Celery's message protocol, version 2, in kombu's envelope:
https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

import base64
import binascii
import json
import uuid
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kombu.utils import json as kombu_json
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from singletrack_tasks.keys import QUEUE
from singletrack_tasks.message import describe_problems
from singletrack_tasks.requests.catalogue import outline
from singletrack_tasks.text import writable

# Images travel as keys, and 256 texts of a request are a few MB at most.
MESSAGE_MAX_BYTES = 16 * 1024 * 1024
_SHOWN_CHARS = 200
_ID_CHARS = 200


class Unreadable(Exception):
    """A message that does not match the contract, with as much of its identity as can be read."""

    def __init__(self, reason: str, job_id: str | None = None, task: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.job_id = job_id
        self.task = task


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
    reply_to: str | None = None


class _Message(_Lenient):
    body: str
    headers: _Headers
    properties: _Properties


class _Embed(_Lenient):
    """What Celery would do after the task; all of it is refused, since it could send anything."""

    callbacks: list[None] | None = None
    errbacks: list[None] | None = None
    chain: list[None] | None = None
    chord: None = None


# Positional arguments, keyword arguments, what to do afterwards.
_Body = TypeAdapter(tuple[list[Any], dict[str, Any], _Embed])


def read(raw: bytes, tasks: Container[str]) -> Envelope:
    """Read a message for one of `tasks`; raises `Unreadable`."""
    data = _decode(raw)
    job_id, task = _identity(data)
    try:
        message = _Message.model_validate(data)
        body, kwargs = _body(message)
        expires = _expires(message.headers.expires)
    except ValidationError as error:
        raise Unreadable(describe_problems("the message", error), job_id, task) from None
    except Exception as error:
        # Whatever is wrong with a message must cost the message, never the worker.
        raise Unreadable(str(error)[:_SHOWN_CHARS], job_id, task) from None
    if job_id is None:
        raise Unreadable(f"its id is empty, longer than {_ID_CHARS} characters, or cannot be printed", None, task)
    if task is None or task not in tasks:
        raise Unreadable(f"unknown task {str(task)[:_SHOWN_CHARS]!r}", job_id, task)
    tag = uuid.uuid4().hex
    return Envelope(job_id, task, tag, _payload(message, body, outline(task, kwargs.get("request")), expires, tag))


def _decode(raw: bytes) -> Any:
    if len(raw) > MESSAGE_MAX_BYTES:
        raise Unreadable(f"the message has {len(raw)} bytes; at most {MESSAGE_MAX_BYTES} are accepted")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the message is not JSON: {error}") from None


def _identity(data: Any) -> tuple[str | None, str | None]:
    """Return the job id and the task that a message names, whatever else is wrong with it."""
    headers = data.get("headers") if isinstance(data, dict) else None
    if not isinstance(headers, dict):
        return None, None
    job_id, task = headers.get("id"), headers.get("task")
    named = isinstance(job_id, str) and 0 < len(job_id) <= _ID_CHARS and job_id.isprintable()
    return job_id if named else None, task if isinstance(task, str) else None


def _body(message: _Message) -> tuple[str, dict[str, Any]]:
    """Return the body, [args, kwargs, embed] as JSON in base64, and its kwargs; raises `ValueError`."""
    encoding = message.properties.body_encoding
    if encoding not in (None, "base64", "utf-8"):
        raise ValueError(f"unknown body encoding {encoding[:_SHOWN_CHARS]!r}")
    try:
        body = base64.b64decode(message.body, validate=True) if encoding == "base64" else message.body.encode()
        parts = json.loads(body.decode("utf-8"))
        # As Celery reads it: values that claim a type become objects of it.
        kombu_json.loads(body.decode("utf-8"))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"its body is not JSON: {error}") from None
    _, kwargs, _ = _Body.validate_python(parts)
    return base64.b64encode(body).decode("ascii"), kwargs


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
            "reply_to": message.properties.reply_to,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": tag,
        },
    }
