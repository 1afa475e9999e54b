"""Embeddings on CLIP's current device, and the lookup of that device."""

from singletrack_tasks.payload.vectors import Vector, Vectors
from singletrack_tasks.requests.embedding import EmbeddingResult, EmbedImages, EmbedTexts, FindClip, FindClipResult
from singletrack_worker.gpu.operations.handler import Handler, Workbench
from singletrack_worker.gpu.operations.vectorizer import Vectorizer
from singletrack_worker.gpu.turn import Turn


class EmbedImagesHandler(Handler[EmbedImages, EmbeddingResult]):
    """Embeds images on CLIP's current device."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._vectorizer = _vectorizer(bench)

    def run(self, request: EmbedImages, turn: Turn) -> EmbeddingResult:
        """Embed them; raises `JobCancelled` and `DeadlinePassed` between two images or two batches."""
        self.bench.clip_start.wait(turn)
        with turn.broken_off_at_deadline():
            pixels = self._vectorizer.prepare_images(request.images, request.fingerprint, turn.cancellation)
            vectors = self._vectorizer.embed_images(pixels, turn.cancellation)
        return _result(self.bench, self._vectorizer, vectors, turn)


class EmbedTextsHandler(Handler[EmbedTexts, EmbeddingResult]):
    """Embeds texts on CLIP's current device."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._vectorizer = _vectorizer(bench)

    def run(self, request: EmbedTexts, turn: Turn) -> EmbeddingResult:
        """Embed them; raises `JobCancelled` and `DeadlinePassed` between two batches."""
        self.bench.clip_start.wait(turn)
        with turn.broken_off_at_deadline():
            embedded = self._vectorizer.embed_texts(request.texts, turn.cancellation)
        return _result(self.bench, self._vectorizer, embedded.vectors, turn, embedded.truncated)


class FindClipHandler(Handler[FindClip, FindClipResult]):
    """Asks the encoder for the device of its weights (P12)."""

    def run(self, request: FindClip, turn: Turn) -> FindClipResult:
        """Ask; raises `ClipUnavailable` if CLIP is not loaded."""
        self.bench.clip_start.wait(turn)
        _vectorizer(self.bench).model()
        return FindClipResult(device=self.bench.tenants.clip.find(), **turn.outcome())


def _vectorizer(bench: Workbench) -> Vectorizer:
    return Vectorizer(bench.tenants.clip, bench.stores.blobs, bench.stores.cache)


def _result(
    bench: Workbench, vectorizer: Vectorizer, vectors: Vector, turn: Turn, truncated: tuple[bool, ...] = ()
) -> EmbeddingResult:
    packed = Vectors.of(vectors)
    bench.transitions.note_fallback(turn)
    return EmbeddingResult(
        vectors=packed,
        device=bench.tenants.clip.device,
        fingerprint=vectorizer.model().fingerprint,
        truncated=truncated,
        **turn.outcome(),
    )
