"""Messages as they lie on the queue."""

import base64
import json
import uuid
from typing import Any


def message(task: str = "gpu.ping", job_id: str | None = None, **changes: Any) -> dict[str, Any]:
    """A message as a plain Celery app sends it; `changes` are of its headers."""
    job = job_id or uuid.uuid4().hex
    body = json.dumps([[], {"request": {}}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": job,
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": job,
            "parent_id": None,
            "argsrepr": "()",
            "kwargsrepr": "{'request': {}}",
            "origin": "gen1@host",
            "ignore_result": None,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        }
        | changes,
        "properties": {
            "correlation_id": job,
            "reply_to": "e03b014f-3eeb-392b-9d9d-7ab52499b19a",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "gpu"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": uuid.uuid4().hex,
        },
    }


def raw(data: Any) -> bytes:
    """What lies on the queue."""
    return json.dumps(data).encode()


def body(*parts: Any) -> str:
    """A body of these parts."""
    return base64.b64encode(json.dumps(parts).encode()).decode()


def without(data: dict[str, Any], *path: str) -> dict[str, Any]:
    """The message without one of its parts."""
    copy = json.loads(json.dumps(data))
    where = copy
    for name in path[:-1]:
        where = where[name]
    del where[path[-1]]
    result: dict[str, Any] = copy
    return result


def changed(data: dict[str, Any], value: Any, *path: str) -> dict[str, Any]:
    """The message with another value for one of its parts."""
    copy = json.loads(json.dumps(data))
    where = copy
    for name in path[:-1]:
        where = where[name]
    where[path[-1]] = value
    result: dict[str, Any] = copy
    return result
