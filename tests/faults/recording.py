"""What a worker notes of itself, whichever app it serves."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from tests.faults import places
from tests.faults.history import Journal, Published, now_ns

TokenOf = Callable[[str], int]


def journal() -> Journal:
    """Open the history of the run that this process belongs to."""
    return Journal(Path(os.environ[places.HISTORY]))


def host() -> str:
    """Name the host that this process plays."""
    return os.environ.get(places.HOST, "a")


def record_results(app: Any, into: Journal, token_of: TokenOf) -> None:
    """Have the app's result backend note each result that lies in Redis once it was written."""
    backend = type(app.backend)
    write = backend._store_result

    def written(self: Any, task_id: str, result: Any, state: str, *args: Any, **options: Any) -> Any:
        key, at_ns, held = self.get_key_for_task(task_id), now_ns(), token_of(task_id)
        before = _stored(self, key)
        given = write(self, task_id, result, state, *args, **options)
        # A write can be refused without a word: what is there counts.
        after = _stored(self, key)
        if after is not None and after != before:
            into.note(Published(at_ns, task_id, held, host(), os.getpid(), state, digest_of(json.loads(after))))
        return given

    backend._store_result = written


def _stored(backend: Any, key: Any) -> bytes | None:
    try:
        stored: bytes | None = backend.get(key)
    except redis.RedisError:
        return None  # what cannot be seen is not noted
    return stored


def digest_of(stored: dict[str, Any]) -> str:
    """Give the digest of what Celery keeps of a job: that of a result, the name of an error."""
    if stored["status"] == "SUCCESS":
        return digest(stored["result"])
    return str(stored["result"].get("exc_type", "") if isinstance(stored["result"], dict) else stored["status"])


def digest(result: object) -> str:
    """Give the digest of a result."""
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:16]
