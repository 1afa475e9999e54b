"""What callers ask for outside the queue: to cancel a job, or a recording."""

from typing import Any

import pytest
import redis

from singletrack_tasks.keys import CANCEL_TTL_S, RECORDING_TTL_S
from singletrack_tasks.recording import Recording
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.store.callers import RedisCancellations, RedisRecordings
from singletrack_worker.store.writer import FencedWriter
from tests.unit.worker.track import KEYS, TOKEN


class TestCancellations:
    def test_a_job_is_cancelled_once_its_key_is_there(self, connection: redis.Redis) -> None:
        cancellations = RedisCancellations(connection, KEYS)
        assert not cancellations.is_cancelled("job")
        connection.set(KEYS.cancel("job"), b"1", ex=CANCEL_TTL_S)
        assert cancellations.is_cancelled("job")
        assert not cancellations.is_cancelled("another")

    def test_without_redis_the_job_is_done(self, away: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
        assert not RedisCancellations(away, KEYS).is_cancelled("job")
        assert "job" in caplog.text


class TestRecordings:
    recording = Recording(track="unit", reason="on_demand", taken_unix_s=1.0)

    def test_one_lies_there_for_a_while(self, connection: redis.Redis, writer: FencedWriter) -> None:
        RedisRecordings(KEYS, writer).put("r-1", self.recording)
        found: Any = connection.get(KEYS.recording("r-1"))
        assert Recording.unpack_text(found) == self.recording
        assert 0 < connection.ttl(KEYS.recording("r-1")) <= RECORDING_TTL_S

    def test_a_worker_that_lost_the_track_delivers_nothing(self, connection: redis.Redis, writer: FencedWriter) -> None:
        connection.set(KEYS.fence, TOKEN + 1)
        RedisRecordings(KEYS, writer).put("r-1", self.recording)
        assert connection.exists(KEYS.recording("r-1")) == 0

    def test_a_redis_that_is_away_is_logged(
        self, away: redis.Redis, scripts: Scripts, caplog: pytest.LogCaptureFixture
    ) -> None:
        RedisRecordings(KEYS, FencedWriter(away, KEYS, scripts, lambda: TOKEN)).put("r-1", self.recording)
        assert "r-1 was not delivered" in caplog.text
