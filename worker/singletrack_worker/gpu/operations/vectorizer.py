"""Embeddings: payloads in, unit vectors out, cached for repeated requests."""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from singletrack_tasks.errors import ClipUnavailable, InvalidRequest
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.operations.pictures import prepared_pixels
from singletrack_worker.gpu.stores import Blobs, VectorCache
from singletrack_worker.gpu.tenants import Clip

T = TypeVar("T", bound=Hashable)

# How many inputs CLIP gets in one call: no more than an encoder embeds at once, since nothing breaks off a call.
AT_ONCE = 32


@dataclass(frozen=True)
class Embedded:
    """Embeddings, n x dimension, and for each input whether it was cut."""

    vectors: Vector
    truncated: tuple[bool, ...]


class Vectorizer:
    """Prepares and embeds inputs with CLIP, and caches the vectors."""

    def __init__(self, clip: Clip, blobs: Blobs, cache: VectorCache) -> None:
        self._clip = clip
        self._blobs = blobs
        self._cache = cache

    def prepare_images(
        self, images: Sequence[Blob], fingerprint: str | None, cancellation: Cancellation
    ) -> list[bytes]:
        """Fetch payloads and prepare those that are files; needs no GPU.

        Raises `BlobMissing`, `InvalidImage`, `ImageTooLarge`, `JobCancelled`, `ClipUnavailable`, and `InvalidRequest`
        (with `fingerprint` in the details) for pixels that were prepared for another CLIP model.
        """
        model = self.model()
        size_bytes = model.image_size**2 * 3
        for image in images:
            made_here = image.form == "file" or (fingerprint == model.fingerprint and image.size_bytes == size_bytes)
            if not made_here:
                raise InvalidRequest(
                    f"these pixels were prepared for CLIP {fingerprint}, and this worker has {model.fingerprint}. "
                    "Prepare them again.",
                    {"fingerprint": model.fingerprint},
                )
        return prepared_pixels(self._blobs, images, model, cancellation)

    def embed_images(self, pixels: Sequence[bytes], cancellation: Cancellation) -> Vector:
        """Embed prepared images; raises `JobCancelled` between batches."""
        return self._embed(pixels, self._embed_pixels, cancellation).vectors

    def embed_texts(self, texts: Sequence[str], cancellation: Cancellation) -> Embedded:
        """Embed texts; raises `JobCancelled` between batches."""
        self.model()
        return self._embed(texts, self._embed_some_texts, cancellation)

    def model(self) -> ClipModel:
        """Return the CLIP model; raises `ClipUnavailable` if CLIP is not loaded."""
        model = self._clip.model
        if model is None:
            raise ClipUnavailable(
                "CLIP is not loaded: see the status for the reason, and set SINGLETRACK_CLIP_WEIGHTS to weights that "
                "this worker can read."
            )
        return model

    def _embed(
        self, inputs: Sequence[T], embed: Callable[[Sequence[T]], Embedded], cancellation: Cancellation
    ) -> Embedded:
        """Embed each distinct input once, and look after each batch whether somebody still waits."""
        distinct = list(dict.fromkeys(inputs))
        rows: dict[T, tuple[Vector, bool]] = {}
        for start in range(0, len(distinct), AT_ONCE):
            cancellation.check()
            batch = distinct[start : start + AT_ONCE]
            embedded = embed(batch)
            rows.update(zip(batch, zip(embedded.vectors, embedded.truncated, strict=True), strict=True))
        vectors, truncated = zip(*(rows[one] for one in inputs), strict=True)
        return Embedded(np.stack(vectors), truncated)

    def _embed_pixels(self, pixels: Sequence[bytes]) -> Embedded:
        return self._keep(pixels, Embedded(self._clip.embed_images(pixels), (False,) * len(pixels)))

    def _embed_some_texts(self, texts: Sequence[str]) -> Embedded:
        embedded = Embedded(self._clip.embed_texts(texts), tuple(self._clip.too_long(texts)))
        return self._keep([text.encode() for text in texts], embedded)

    def _keep(self, contents: Sequence[bytes], embedded: Embedded) -> Embedded:
        sha256s = [hashlib.sha256(content).hexdigest() for content in contents]
        self._cache.put(self.model().fingerprint, sha256s, embedded.vectors, embedded.truncated)
        return embedded
