"""Reads whose message it is, whatever else is wrong with it."""

import re
from dataclasses import dataclass
from typing import Any

# Of an id that logs, events and Flower can show.
ID_CHARS = 200
# Of the name of a key under which a caller may wait for a result.
_ANSWER_BYTES = 64 * 1024
# Kombu writes the properties last.
_END_BYTES = 4096
_ID_AT_THE_END = re.compile(rb'"correlation_id":\s*"([^"\\]+)"')


@dataclass(frozen=True)
class MessageIdentity:
    """What a message says of itself, each part None if it does not say so.

    `job_id` can be shown. `answer_id` is its id as it stands there: its caller waits under it, shown or not.
    """

    answer_id: str | None = None
    job_id: str | None = None
    task: str | None = None


NOBODY = MessageIdentity()


def identity_of(message: Any) -> MessageIdentity:
    """Read the identity of a message in kombu's envelope."""
    headers, properties = (_dict(_dict(message).get(name)) for name in ("headers", "properties"))
    # Celery writes the id in both; its first protocol has no headers.
    ids = (headers.get("id"), properties.get("correlation_id"))
    found = next((one for one in ids if isinstance(one, str) and one), None)
    task = headers.get("task")
    return _identity(found, task if isinstance(task, str) else None)


def identity_of_end(raw: bytes) -> MessageIdentity:
    """Read the identity of a message that is too large to be decoded, from its end."""
    ids = _ID_AT_THE_END.findall(raw[-_END_BYTES:])
    return _identity(ids[-1].decode("utf-8", "replace") if ids else None, None)


def _identity(found: str | None, task: str | None) -> MessageIdentity:
    if found is None:
        return MessageIdentity(task=task)
    shown = len(found) <= ID_CHARS and found.isprintable()
    return MessageIdentity(found if _can_be_a_key(found) else None, found if shown else None, task)


def _can_be_a_key(text: str) -> bool:
    try:
        return len(text.encode("utf-8")) <= _ANSWER_BYTES
    except UnicodeEncodeError:
        return False


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
