"""The state that a track keeps from one worker to the next."""

import pytest
import redis

from singletrack_tasks.errors import RedisUnavailable
from singletrack_tasks.keys import STATE_TTL_S
from singletrack_tasks.status import ExecutionMode
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.gpu.stores import SavedState
from singletrack_worker.store.state import RedisMemory
from singletrack_worker.store.writer import FencedWriter
from tests.unit.worker.track import KEYS, TOKEN


def test_a_track_without_a_past_begins_idle(connection: redis.Redis, writer: FencedWriter) -> None:
    assert RedisMemory(connection, KEYS, writer).load() == SavedState()


def test_what_is_saved_is_loaded_by_the_next_worker(connection: redis.Redis, writer: FencedWriter) -> None:
    state = SavedState(ExecutionMode.RECORDING, 1795488564.5833755, {"vlm:m:default": 5600})
    RedisMemory(connection, KEYS, writer).save(state)
    assert RedisMemory(connection, KEYS, writer).load() == state
    assert 0 < connection.ttl(KEYS.state) <= STATE_TTL_S


@pytest.mark.parametrize("field", ["mode", "vlm_last_used_unix_s", "footprints_mb"])
def test_a_state_of_another_release_does_not_keep_a_worker_from_starting(
    connection: redis.Redis, writer: FencedWriter, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    RedisMemory(connection, KEYS, writer).save(SavedState(ExecutionMode.RECORDING))
    connection.hset(KEYS.state, field, "nonsense")
    assert RedisMemory(connection, KEYS, writer).load() == SavedState()
    assert "another release" in caplog.text


def test_a_last_use_that_was_forgotten_stays_so(connection: redis.Redis, writer: FencedWriter) -> None:
    memory = RedisMemory(connection, KEYS, writer)
    memory.save(SavedState(vlm_last_used_unix_s=5.0))
    memory.save(SavedState(vlm_last_used_unix_s=None))
    assert RedisMemory(connection, KEYS, writer).load().vlm_last_used_unix_s is None


def test_what_did_not_change_is_not_written_again(connection: redis.Redis, writer: FencedWriter) -> None:
    memory = RedisMemory(connection, KEYS, writer)
    memory.save(SavedState())
    connection.delete(KEYS.state)
    memory.save(SavedState())
    assert not connection.exists(KEYS.state)
    memory.save(SavedState(mode=ExecutionMode.AUTOPILOT))
    assert connection.exists(KEYS.state)


def test_without_redis_loading_fails_and_saving_is_logged(
    away: redis.Redis, scripts: Scripts, caplog: pytest.LogCaptureFixture
) -> None:
    memory = RedisMemory(away, KEYS, FencedWriter(away, KEYS, scripts, lambda: TOKEN))
    with pytest.raises(RedisUnavailable, match="track's state"):
        memory.load()
    memory.save(SavedState())
    assert "could not save the state" in caplog.text


def test_what_could_not_be_saved_is_saved_the_next_time(connection: redis.Redis, writer: FencedWriter) -> None:
    memory = RedisMemory(connection, KEYS, writer)
    connection.execute_command("ACL", "SETUSER", "default", "-hset")  # type: ignore[no-untyped-call] # redis-py leaves it untyped
    try:
        memory.save(SavedState(mode=ExecutionMode.RECORDING))
    finally:
        connection.execute_command("ACL", "SETUSER", "default", "+hset")  # type: ignore[no-untyped-call] # as above
    assert not connection.exists(KEYS.state)
    memory.save(SavedState(mode=ExecutionMode.RECORDING))
    assert RedisMemory(connection, KEYS, writer).load().mode is ExecutionMode.RECORDING


def test_a_worker_that_lost_the_track_changes_nothing(
    connection: redis.Redis, writer: FencedWriter, caplog: pytest.LogCaptureFixture
) -> None:
    memory = RedisMemory(connection, KEYS, writer)
    memory.save(SavedState(mode=ExecutionMode.RECORDING))
    connection.set(KEYS.fence, TOKEN + 1)
    memory.save(SavedState(mode=ExecutionMode.AUTOPILOT))
    assert memory.load().mode is ExecutionMode.RECORDING
    assert "refused" in caplog.text
    connection.set(KEYS.fence, TOKEN)
    memory.save(SavedState(mode=ExecutionMode.AUTOPILOT))
    assert memory.load().mode is ExecutionMode.AUTOPILOT
