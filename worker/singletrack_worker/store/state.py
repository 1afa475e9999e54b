"""The state that a track keeps from one worker to the next."""

import json
import logging
from typing import Any

import redis

from singletrack_tasks.errors import RedisUnavailable
from singletrack_tasks.keys import STATE_TTL_S, Keys
from singletrack_tasks.status import ExecutionMode
from singletrack_worker.gpu.stores import SavedState
from singletrack_worker.store.writer import Writer

_log = logging.getLogger(__name__)


class RedisMemory:
    """The saved state of a track."""

    def __init__(self, client: redis.Redis, keys: Keys, writer: Writer) -> None:
        self._redis = client
        self._writer = writer
        self._key = keys.state
        self._last: dict[str, str] | None = None

    def load(self) -> SavedState:
        """Load the state, a fresh one if there is none that can be read; raises `RedisUnavailable`."""
        try:
            raw: Any = self._redis.hgetall(self._key)
        except redis.RedisError as error:
            raise RedisUnavailable(f"cannot read the track's state: {error}") from error
        stored = {name.decode(): value.decode() for name, value in raw.items()}
        try:
            return _state(stored)
        except ValueError as error:
            _log.warning("the saved state comes from another release (%s): starting in mode IDLE", error)
            return SavedState()

    def save(self, state: SavedState) -> None:
        """Save the state if it changed; a failure is logged, and the next save tries again."""
        last_used = state.vlm_last_used_unix_s
        now = {
            "mode": state.mode.value,
            "vlm_last_used_unix_s": "" if last_used is None else repr(last_used),
            "footprints_mb": json.dumps(state.footprints_mb),
            "durations_s": json.dumps(state.durations_s),
        }
        if now == self._last:
            return
        fields = (word for field in now.items() for word in field)
        try:
            written = self._writer.write(("HSET", self._key, *fields), ("EXPIRE", self._key, STATE_TTL_S))
        except redis.RedisError as error:
            _log.warning("could not save the state: %s", error)
        else:
            self._last = now if written else None


def _state(stored: dict[str, str]) -> SavedState:
    last_used = stored.get("vlm_last_used_unix_s", "")
    return SavedState(
        mode=ExecutionMode(stored.get("mode", ExecutionMode.IDLE)),
        vlm_last_used_unix_s=float(last_used) if last_used else None,
        footprints_mb=json.loads(stored.get("footprints_mb", "{}")),
        durations_s=json.loads(stored.get("durations_s", "{}")),
    )
