"""Embedding vectors, packed as bytes."""

import base64
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from singletrack_tasks.message import Message

Vector = NDArray[np.float32]


class Vectors(Message):
    """Embeddings, one per row: little-endian float32 in base64, a quarter of the size of a JSON list."""

    rows: int = Field(ge=0)
    dimension: int = Field(gt=0)
    data: str

    @model_validator(mode="after")
    def _has_its_size(self) -> Self:
        if len(self.data) != _base64_length(self.rows * self.dimension * 4):
            raise ValueError(f"{len(self.data)} base64 characters do not hold {self.rows} x {self.dimension} numbers")
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


def cache_entry(vector: Vector, *, truncated: bool) -> bytes:
    """Pack one embedding for the cache: little-endian float32, and one byte more if its text was cut."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes() + (b"\1" if truncated else b"")


def read_cache_entry(data: bytes, dimension: int) -> tuple[Vector, bool] | None:
    """Unpack what `cache_entry` made, and whether the text was cut; None if it is of another dimension."""
    if len(data) not in (4 * dimension, 4 * dimension + 1):
        return None
    vector = np.frombuffer(data, dtype="<f4", count=dimension).astype(np.float32)
    return vector, len(data) > 4 * dimension


def _base64_length(size_bytes: int) -> int:
    return -(-size_bytes // 3) * 4
