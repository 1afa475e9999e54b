"""Embeds by content alone: equal inputs have equal vectors, others are nearly orthogonal."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from singletrack import Embeddings
from singletrack.agent.screen.screenshot import Pixels, Screenshot

DIMENSION = 512


def noise(seed: int, title: str = "") -> Screenshot:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return Screenshot.of(pixels, title=title)


def embedded(data: bytes) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class HashedClip:
    """A source of embeddings that counts what it was asked for."""

    def __init__(self, fingerprint: str = "one") -> None:
        self.fingerprint = fingerprint
        self.texts: list[str] = []
        self.images = 0

    def embed_images(self, images: list[Pixels], *, timeout_s: float = 120.0) -> Embeddings:
        self.images += len(images)
        return self._embeddings([image.tobytes() for image in images])

    def embed_texts(self, texts: list[str], *, timeout_s: float = 120.0) -> Embeddings:
        self.texts += texts
        return self._embeddings([text.encode() for text in texts])

    def _embeddings(self, inputs: list[bytes]) -> Embeddings:
        return Embeddings(np.stack([embedded(data) for data in inputs]), self.fingerprint, "cpu", 0)
