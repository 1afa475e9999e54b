"""Tracks that use one Ollama server know of each other, as long as they use it."""

import pytest
import redis

from singletrack_tasks.keys import OLLAMA_TRACKS_TTL_S, Keys, ollama_tracks
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.store.neighbours import RedisNeighbours
from singletrack_worker.store.writer import FencedWriter
from tests.unit.worker.track import TOKEN

SERVER = "gpu-host:11434"


def track_at(connection: redis.Redis, scripts: Scripts, track: str, server: str = SERVER) -> RedisNeighbours:
    """What the worker that has this track says and reads."""
    keys = Keys(track)
    connection.set(keys.fence, TOKEN)
    return RedisNeighbours(connection, FencedWriter(connection, keys, scripts, lambda: TOKEN), track, server)


def test_tracks_at_one_server_see_each_other(connection: redis.Redis, scripts: Scripts) -> None:
    first, second = (track_at(connection, scripts, track) for track in ("gpu0", "gpu1"))
    assert first.look() == ()
    assert second.look() == ("gpu0",)
    assert first.look() == ("gpu1",)
    assert track_at(connection, scripts, "gpu2", "gpu-host:11435").look() == ()
    assert 0 < connection.ttl(ollama_tracks(SERVER)) <= OLLAMA_TRACKS_TTL_S
    second.leave()
    assert first.look() == ()


def test_a_track_that_says_nothing_more_is_forgotten(connection: redis.Redis, scripts: Scripts) -> None:
    first, second = (track_at(connection, scripts, track) for track in ("gpu0", "gpu1"))
    second.look()
    key = ollama_tracks(SERVER)
    said_unix_s = connection.zscore(key, "gpu1")
    assert isinstance(said_unix_s, float)
    connection.zadd(key, {"gpu1": said_unix_s - OLLAMA_TRACKS_TTL_S - 1})
    assert first.look() == ()


def test_a_worker_that_lost_its_track_says_nothing(connection: redis.Redis, scripts: Scripts) -> None:
    lost = track_at(connection, scripts, "gpu0")
    connection.set(Keys("gpu0").fence, TOKEN + 1)
    lost.look()
    assert not connection.exists(ollama_tracks(SERVER))


def test_no_track_can_have_the_key() -> None:
    with pytest.raises(ValueError, match="track name"):
        Keys("")
