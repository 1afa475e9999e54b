"""Payloads: images go to Redis by the hash of their content, vectors travel as bytes."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from singletrack_tasks.errors import BlobMissing
from singletrack_tasks.keys import BLOB_TTL_S, Keys
from singletrack_tasks.model import Message

Vector = NDArray[np.float32]


class Blob(Message):
    """A payload in Redis: an image `file`, or the `pixels` that `images.prepare` made for one CLIP."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    form: Literal["file", "pixels"]

    @classmethod
    def of(cls, data: bytes, form: Literal["file", "pixels"]) -> Self:
        """Describe a payload."""
        return cls(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), form=form)


class Vectors(Message):
    """Embeddings, one a row: float32, little endian, in base64, which is a quarter of a list of numbers."""

    rows: int = Field(ge=0)
    dimension: int = Field(gt=0)
    data: str

    @model_validator(mode="after")
    def _is_of_its_size(self) -> Self:
        if len(self.data) != _base64_length(self.rows * self.dimension * 4):
            raise ValueError(f"{len(self.data)} characters are not {self.rows} x {self.dimension} numbers")
        return self

    @classmethod
    def of(cls, vectors: Vector) -> Self:
        """Pack an array of rows x dimension."""
        data = np.ascontiguousarray(vectors, dtype="<f4").tobytes()
        return cls(rows=vectors.shape[0], dimension=vectors.shape[1], data=base64.b64encode(data).decode("ascii"))

    def array(self) -> Vector:
        """Unpack to an array of rows x dimension, float32."""
        flat = np.frombuffer(base64.b64decode(self.data, validate=True), dtype="<f4")
        return flat.reshape(self.rows, self.dimension).astype(np.float32)


def _base64_length(size_bytes: int) -> int:
    return -(-size_bytes // 3) * 4


class BinaryRedis(Protocol):
    """The part of a redis-py client (bytes in, bytes out) that blobs need."""

    def pipeline(self, transaction: bool = ...) -> Any:
        """Open a pipeline."""

    def mget(self, keys: Any) -> Any:
        """Get several keys."""


class BlobStore:
    """The payloads of a track in Redis, content-addressed, with a time to live that each use renews."""

    def __init__(self, redis: BinaryRedis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, payloads: Sequence[bytes], form: Literal["file", "pixels"], ttl_s: float) -> list[Blob]:
        """Store payloads for at least `ttl_s` seconds; one that is there is not sent again."""
        blobs = [Blob.of(data, form) for data in payloads]
        missing = self._renew(blobs, ttl_s)
        pipe = self._redis.pipeline(transaction=False)
        for blob, data in zip(blobs, payloads, strict=True):
            if blob.sha256 in missing:
                pipe.set(self._keys.blob(blob.sha256), data, ex=_ttl(ttl_s))
        if missing:
            pipe.execute()
        return blobs

    def _renew(self, blobs: Sequence[Blob], ttl_s: float) -> set[str]:
        pipe = self._redis.pipeline(transaction=False)
        for blob in blobs:
            pipe.expire(self._keys.blob(blob.sha256), _ttl(ttl_s))
        renewed = pipe.execute()
        return {blob.sha256 for blob, done in zip(blobs, renewed, strict=True) if not done}

    def get(self, blobs: Sequence[Blob]) -> list[bytes]:
        """Fetch payloads in order; raises `BlobMissing` for one that is gone, or is not what its name says."""
        if not blobs:
            return []
        payloads = self._redis.mget([self._keys.blob(blob.sha256) for blob in blobs])
        return [_checked(blob, data) for blob, data in zip(blobs, payloads, strict=True)]


def _ttl(ttl_s: float) -> int:
    return max(BLOB_TTL_S, int(ttl_s) + 60)


def _checked(blob: Blob, data: bytes | None) -> bytes:
    if data is None:
        raise BlobMissing(
            f"the payload {blob.sha256[:12]} is no longer in Redis: it outlived its time in the queue. Send it again."
        )
    if hashlib.sha256(data).hexdigest() != blob.sha256:
        raise BlobMissing(f"the payload {blob.sha256[:12]} in Redis is not what was sent. Send it again.")
    return data
