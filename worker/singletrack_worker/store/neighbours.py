"""Which other tracks use the same Ollama server, as far as their workers use the same Redis."""

from typing import Any

import redis

from singletrack_tasks.keys import OLLAMA_TRACKS_TTL_S, ollama_tracks
from singletrack_worker.store.connection import server_time_unix_s
from singletrack_worker.store.writer import Writer


class RedisNeighbours:
    """Says that this track uses an Ollama `server`, named as `ollama_address.server_name` does, and reads who else."""

    def __init__(self, client: redis.Redis, writer: Writer, track: str, server: str) -> None:
        self._redis = client
        self._writer = writer
        self._track = track
        self._key = ollama_tracks(server)

    def look(self) -> tuple[str, ...]:
        """Say that this track uses the server, and return the other tracks that do, by name.

        One that has said nothing for `OLLAMA_TRACKS_TTL_S` counts no more. Raises `redis.RedisError`.
        """
        now_unix_s = server_time_unix_s(self._redis)
        self._writer.write(
            ("ZADD", self._key, f"{now_unix_s:.3f}", self._track),
            ("ZREMRANGEBYSCORE", self._key, "-inf", f"{now_unix_s - OLLAMA_TRACKS_TTL_S:.3f}"),
            ("EXPIRE", self._key, OLLAMA_TRACKS_TTL_S),
        )
        found: Any = self._redis.zrange(self._key, 0, -1)
        return tuple(sorted({track.decode() for track in found} - {self._track}))

    def leave(self) -> None:
        """Say that this track uses the server no more; raises `redis.RedisError`."""
        self._writer.write(("ZREM", self._key, self._track))
