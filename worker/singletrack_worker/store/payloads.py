"""The payloads of requests, and the cache of embeddings."""

import logging
from collections.abc import Sequence

import redis

from singletrack_tasks.errors import RedisUnavailable
from singletrack_tasks.keys import VECTOR_TTL_S, Keys
from singletrack_tasks.payload.blobs import Blob, BlobStore
from singletrack_tasks.payload.vectors import Vector, cache_entry

_log = logging.getLogger(__name__)


class RedisBlobs:
    """The payloads that clients stored with their requests."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._store = BlobStore(client, keys)

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """Fetch payloads in order; raises `BlobMissing`, `RedisUnavailable`."""
        try:
            return self._store.get(blobs)
        except redis.RedisError as error:
            raise RedisUnavailable(f"cannot fetch the payloads: {error}. Send the request again.") from error


class RedisVectorCache:
    """Embeddings, by the hash of their inputs; a cache that cannot be reached costs time, never an answer."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._redis = client
        self._keys = keys

    def put(self, fingerprint: str, sha256s: Sequence[str], vectors: Vector, truncated: Sequence[bool]) -> None:
        """Keep embeddings, one row of `vectors` and one of `truncated` per hash; a failure is logged."""
        pipe = self._redis.pipeline(transaction=False)
        for sha256, vector, cut in zip(sha256s, vectors, truncated, strict=True):
            pipe.set(self._keys.vector(fingerprint, sha256), cache_entry(vector, truncated=cut), ex=VECTOR_TTL_S)
        try:
            pipe.execute()
        except redis.RedisError as error:
            _log.warning("embeddings were not cached: %s", error)
