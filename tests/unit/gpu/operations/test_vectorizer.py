"""Embeddings: prepared once, in order, kept for those who ask again."""

import hashlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from singletrack_tasks.errors import (
    BlobMissing,
    ClipUnavailable,
    ImageTooLarge,
    InvalidImage,
    InvalidRequest,
    JobCancelled,
)
from singletrack_tasks.payload import image_limits
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.images import decode_image, prepare
from singletrack_tasks.payload.vectors import Vector
from singletrack_worker.gpu.cancellation import Cancellation
from singletrack_worker.gpu.clip import batches
from singletrack_worker.gpu.operations import pictures
from singletrack_worker.gpu.operations.vectorizer import AT_ONCE, Vectorizer
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
        self.cancellation = Cancellation()
        # The sizes of the batches that CLIP has got; after `cancel_after` of them the job is cancelled.
        self.batches: list[int] = []
        self.cancel_after = 0
        for name in ("embed_images", "embed_texts"):
            setattr(clip, name, self._counted(getattr(clip, name)))

    def prepare(self, images: Sequence[Blob], fingerprint: str | None = None) -> list[bytes]:
        """Prepare images."""
        return self.embedder.prepare_images(images, fingerprint, self.cancellation)

    def _counted(self, embed: Callable[[Sequence[Any]], Vector]) -> Callable[[Sequence[Any]], Vector]:
        def counted(inputs: Sequence[Any]) -> Vector:
            self.batches.append(len(inputs))
            if len(self.batches) == self.cancel_after:
                self.cancellation.cancel()
            return embed(inputs)

        return counted

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
    prepared = studio.prepare([studio.file(image), studio.pixels()], CLIP_MODEL.fingerprint)
    assert prepared == [prepare(image, CLIP_MODEL), PIXELS]


@pytest.mark.parametrize("fingerprint", [None, "another"])
def test_pixels_for_another_clip_are_refused(fingerprint: str | None) -> None:
    studio = Studio()
    with pytest.raises(InvalidRequest, match="Prepare them again") as refused:
        studio.prepare([studio.pixels()], fingerprint)
    assert refused.value.details == {"fingerprint": CLIP_MODEL.fingerprint}


def test_pixels_of_another_size_are_refused() -> None:
    studio = Studio()
    with pytest.raises(InvalidRequest):
        studio.prepare([studio.pixels(PIXELS[:-3])], CLIP_MODEL.fingerprint)


def test_a_payload_that_is_gone_and_one_that_is_no_image() -> None:
    studio = Studio()
    with pytest.raises(BlobMissing):
        studio.prepare([Blob.of(b"never stored", "file")], None)
    text = b"no image at all"
    with pytest.raises(InvalidImage):
        studio.prepare([studio.blobs.add(text, Blob.of(text, "file"))], None)


def test_embeddings_come_in_order_and_are_kept_by_the_hash_of_their_input() -> None:
    studio = Studio()
    texts = ["a button", "a field"]
    rows = studio.embedder.embed_texts(texts, studio.cancellation).vectors
    assert np.array_equal(rows, np.stack([reference_embedding(text.encode()) for text in texts]))
    images = studio.embedder.embed_images([PIXELS], studio.cancellation)
    for data, row in ((b"a button", rows[0]), (b"a field", rows[1]), (PIXELS, images[0])):
        kept = studio.cache.vectors[CLIP_MODEL.fingerprint, hashlib.sha256(data).hexdigest()]
        assert np.array_equal(kept, row)


def test_without_clip_the_error_says_what_to_do() -> None:
    studio = Studio(started=False)
    with pytest.raises(ClipUnavailable, match="SINGLETRACK_CLIP_WEIGHTS"):
        studio.embedder.embed_texts(["a button"], studio.cancellation)
    with pytest.raises(ClipUnavailable):
        studio.prepare([studio.pixels()], CLIP_MODEL.fingerprint)


class Decoder:
    """Counts what is decoded; after `cancel_after` images the job is cancelled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.studio = Studio()
        self.decoded = 0
        self.cancel_after = 0
        self._decode = decode_image
        monkeypatch.setattr(pictures, "decode_image", self._count)

    def _count(self, data: bytes) -> Image.Image:
        self.decoded += 1
        if self.decoded == self.cancel_after:
            self.studio.cancellation.cancel()
        return self._decode(data)


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Decoder:
    return Decoder(monkeypatch)


def test_an_image_that_is_named_often_is_decoded_and_embedded_once(decoder: Decoder) -> None:
    studio = decoder.studio
    one, other = (studio.file(Image.new("RGB", (9, 9), colour)) for colour in ("red", "blue"))
    pixels = studio.prepare([one, other, *[one] * 14])
    assert decoder.decoded == 2
    rows = studio.embedder.embed_images(pixels, studio.cancellation)
    assert studio.batches == [2]
    assert np.array_equal(rows, np.stack([reference_embedding(data) for data in pixels]))
    assert len(rows) == 16


def test_a_text_that_is_given_often_is_embedded_once() -> None:
    studio = Studio()
    rows = studio.embedder.embed_texts(["b", "a", "b"], studio.cancellation).vectors
    assert studio.batches == [2]
    assert np.array_equal(rows, np.stack([reference_embedding(text) for text in (b"b", b"a", b"b")]))


def test_a_text_that_is_too_long_is_told_also_to_the_cache() -> None:
    studio = Studio()
    texts = ["short", "word " * 76, "short", "word " * 75]
    assert studio.embedder.embed_texts(texts, studio.cancellation).truncated == (False, True, False, False)
    assert studio.cache.truncated == {hashlib.sha256(texts[1].encode()).hexdigest()}


def test_nothing_is_decoded_for_nobody(decoder: Decoder) -> None:
    decoder.cancel_after = 2
    files = [decoder.studio.file(Image.new("RGB", (9, 9), (shade, 0, 0))) for shade in range(5)]
    with pytest.raises(JobCancelled):
        decoder.studio.prepare(files)
    assert decoder.decoded == 2


def test_no_batch_is_embedded_for_nobody() -> None:
    studio = Studio()
    studio.cancel_after = 2
    with pytest.raises(JobCancelled):
        studio.embedder.embed_texts([f"text {number}" for number in range(3 * AT_ONCE)], studio.cancellation)
    assert studio.batches == [AT_ONCE, AT_ONCE]
    # What was done is done: whoever asks again goes on from there.
    assert len(studio.cache.vectors) == 2 * AT_ONCE
    assert AT_ONCE <= batches.BATCH


def test_images_that_are_too_many_pixels_together_are_not_decoded(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_limits, "MAX_REQUEST_PIXELS", 200)
    studio = decoder.studio
    files = [studio.file(Image.new("RGB", (10, 10), (shade, 0, 0))) for shade in range(3)]
    with pytest.raises(ImageTooLarge, match="300 pixels in all; the limit is 200"):
        studio.prepare(files)
    assert decoder.decoded == 0
    assert len(studio.prepare([*files[:2], *files[:2], studio.pixels()], CLIP_MODEL.fingerprint)) == 5
