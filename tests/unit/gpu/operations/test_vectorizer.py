"""Embeddings: prepared once, in order, kept for those who ask again."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from singletrack_tasks.errors import BlobMissing, ClipUnavailable, InvalidImage, InvalidRequest
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.images import prepare
from singletrack_worker.gpu.operations.vectorizer import Vectorizer
from singletrack_worker.gpu.vram.vram_monitor import NoGpu
from tests.fakes import (
    CLIP_MODEL,
    IMAGE_SIZE,
    FakeClip,
    FakeClock,
    MemoryBlobs,
    MemoryVectorCache,
    reference_embedding,
)

PIXELS = bytes(range(IMAGE_SIZE**2 * 3))


class Studio:
    """An embedder and what it works with."""

    def __init__(self, *, started: bool = True) -> None:
        self.blobs, self.cache = MemoryBlobs(), MemoryVectorCache()
        clip = FakeClip(NoGpu("no driver"), FakeClock())
        if started:
            clip.start()
        self.embedder = Vectorizer(clip, self.blobs, self.cache)

    def file(self, image: Image.Image) -> Blob:
        """Keep an image as a PNG file."""
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return self.blobs.add(buffer.getvalue(), Blob.of(buffer.getvalue(), "file"))

    def pixels(self, data: bytes = PIXELS) -> Blob:
        """Keep prepared pixels."""
        return self.blobs.add(data, Blob.of(data, "pixels"))


def test_files_are_prepared_here_as_a_client_prepares_them() -> None:
    studio = Studio()
    image = Image.linear_gradient("L").convert("RGB")
    prepared = studio.embedder.prepare_images([studio.file(image), studio.pixels()], CLIP_MODEL.fingerprint)
    assert prepared == [prepare(image, CLIP_MODEL), PIXELS]


@pytest.mark.parametrize("fingerprint", [None, "another"])
def test_pixels_for_another_clip_are_refused(fingerprint: str | None) -> None:
    studio = Studio()
    with pytest.raises(InvalidRequest, match="Prepare them again") as refused:
        studio.embedder.prepare_images([studio.pixels()], fingerprint)
    assert refused.value.details == {"fingerprint": CLIP_MODEL.fingerprint}


def test_pixels_of_another_size_are_refused() -> None:
    studio = Studio()
    with pytest.raises(InvalidRequest):
        studio.embedder.prepare_images([studio.pixels(PIXELS[:-3])], CLIP_MODEL.fingerprint)


def test_a_payload_that_is_gone_and_one_that_is_no_image() -> None:
    studio = Studio()
    with pytest.raises(BlobMissing):
        studio.embedder.prepare_images([Blob.of(b"never stored", "file")], None)
    text = b"no image at all"
    with pytest.raises(InvalidImage):
        studio.embedder.prepare_images([studio.blobs.add(text, Blob.of(text, "file"))], None)


def test_embeddings_come_in_order_and_are_kept_by_the_hash_of_their_input() -> None:
    studio = Studio()
    texts = ["a button", "a field"]
    rows = studio.embedder.embed_texts(texts)
    assert np.array_equal(rows, np.stack([reference_embedding(text.encode()) for text in texts]))
    images = studio.embedder.embed_images([PIXELS])
    for data, row in ((b"a button", rows[0]), (b"a field", rows[1]), (PIXELS, images[0])):
        kept = studio.cache.vectors[CLIP_MODEL.fingerprint, hashlib.sha256(data).hexdigest()]
        assert np.array_equal(kept, row)


def test_without_clip_the_error_says_what_to_do() -> None:
    studio = Studio(started=False)
    with pytest.raises(ClipUnavailable, match="SINGLETRACK_CLIP_WEIGHTS"):
        studio.embedder.embed_texts(["a button"])
    with pytest.raises(ClipUnavailable):
        studio.embedder.prepare_images([studio.pixels()], CLIP_MODEL.fingerprint)
