"""Embeddings: payloads in, unit vectors out, cached for repeated requests."""

import hashlib
from collections.abc import Sequence

from singletrack_tasks.errors import ClipUnavailable, InvalidRequest
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.images import decode_image, prepare
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel
from singletrack_worker.gpu.stores import Blobs, VectorCache
from singletrack_worker.gpu.tenants import Clip


class Vectorizer:
    """Prepares and embeds inputs with CLIP, and caches the vectors."""

    def __init__(self, clip: Clip, blobs: Blobs, cache: VectorCache) -> None:
        self._clip = clip
        self._blobs = blobs
        self._cache = cache

    def prepare_images(self, images: Sequence[Blob], fingerprint: str | None) -> list[bytes]:
        """Fetch payloads and prepare those that are files; needs no GPU.

        Raises `BlobMissing`, `InvalidImage`, `ClipUnavailable`, and `InvalidRequest` (with `fingerprint` in the
        details) for pixels that were prepared for another CLIP model.
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
        payloads = self._blobs.get(images)
        return [
            data if image.form == "pixels" else prepare(decode_image(data), model)
            for image, data in zip(images, payloads, strict=True)
        ]

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        """Embed prepared images."""
        vectors = self._clip.embed_images(pixels)
        self._keep([hashlib.sha256(data).hexdigest() for data in pixels], vectors)
        return vectors

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        """Embed texts."""
        self.model()
        vectors = self._clip.embed_texts(texts)
        self._keep([hashlib.sha256(text.encode()).hexdigest() for text in texts], vectors)
        return vectors

    def model(self) -> ClipModel:
        """Return the CLIP model; raises `ClipUnavailable` if CLIP is not loaded."""
        model = self._clip.model
        if model is None:
            raise ClipUnavailable(
                "CLIP is not loaded: see the status for the reason, and set SINGLETRACK_CLIP_WEIGHTS to weights that "
                "this worker can read."
            )
        return model

    def _keep(self, sha256s: Sequence[str], vectors: Vector) -> None:
        self._cache.put(self.model().fingerprint, sha256s, vectors)
