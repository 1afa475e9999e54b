"""Payloads and cached embeddings, with a Redis that is there and one that is not."""

import numpy as np
import pytest
import redis

from singletrack_tasks.errors import BlobMissing, RedisUnavailable
from singletrack_tasks.keys import VECTOR_TTL_S
from singletrack_tasks.payload.blobs import Blob, BlobStore
from singletrack_tasks.payload.vectors import read_cache_entry
from singletrack_worker.store.payloads import RedisBlobs, RedisVectorCache
from tests.unit.worker.track import KEYS


class TestBlobs:
    def test_payloads_come_back_in_order(self, connection: redis.Redis) -> None:
        blobs = BlobStore(connection, KEYS).put([b"one", b"two"], "file", 60)
        assert RedisBlobs(connection, KEYS).get(blobs[::-1]) == [b"two", b"one"]
        assert RedisBlobs(connection, KEYS).get([]) == []

    def test_one_that_is_gone_is_named(self, connection: redis.Redis) -> None:
        blob = Blob.of(b"gone", "file")
        with pytest.raises(BlobMissing, match=blob.sha256[:12]):
            RedisBlobs(connection, KEYS).get([blob])

    def test_one_that_is_not_what_was_sent_is_refused(self, connection: redis.Redis) -> None:
        blob = Blob.of(b"right", "file")
        connection.set(KEYS.blob(blob.sha256), b"wrong")
        with pytest.raises(BlobMissing, match="not what was sent"):
            RedisBlobs(connection, KEYS).get([blob])

    def test_without_redis(self, away: redis.Redis) -> None:
        with pytest.raises(RedisUnavailable, match="Send the request again"):
            RedisBlobs(away, KEYS).get([Blob.of(b"x", "file")])


class TestVectorCache:
    def test_rows_are_kept_under_their_inputs(self, connection: redis.Redis) -> None:
        vectors = np.array([[1, 0], [0, 1]], dtype=np.float32)
        RedisVectorCache(connection, KEYS).put("fp", ["a" * 64, "b" * 64], vectors, [True, False])
        kept = connection.get(KEYS.vector("fp", "b" * 64))
        assert isinstance(kept, bytes)
        np.testing.assert_array_equal(np.frombuffer(kept, "<f4"), vectors[1])
        cut = connection.get(KEYS.vector("fp", "a" * 64))
        assert isinstance(cut, bytes)
        for entry, row, truncated in ((cut, vectors[0], True), (kept, vectors[1], False)):
            read = read_cache_entry(entry, 2)
            assert read is not None
            np.testing.assert_array_equal(read[0], row)
            assert read[1] is truncated
            assert read_cache_entry(entry, 3) is None
        assert 0 < connection.ttl(KEYS.vector("fp", "a" * 64)) <= VECTOR_TTL_S

    def test_without_redis_it_is_logged_and_nothing_fails(
        self, away: redis.Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        RedisVectorCache(away, KEYS).put("fp", ["a" * 64], np.zeros((1, 2), np.float32), [False])
        assert "not cached" in caplog.text
