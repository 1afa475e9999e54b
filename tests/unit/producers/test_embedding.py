"""Embeddings: order, duplicates, the cache, and a CLIP that changes."""

from collections.abc import Iterator

import numpy as np
import pytest

from singletrack.client import Client
from singletrack.reading import snapshots
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.images import prepare
from tests.unit.producers.conftest import LONELY_TRACK, Backstage, wait_until
from tests.unit.producers.sample_images import noise
from tests.unit.producers.small_worker import DIMENSION, clip_model, vector_of


@pytest.fixture(autouse=True)
def _first_clip(backstage: Backstage, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with the first CLIP and an empty cache, and a client that remembers a CLIP for as long as a test takes."""
    monkeypatch.setattr(snapshots, "_MODEL_GOOD_FOR_S", 600.0)
    backstage.set_fingerprint("first")
    for key in backstage.redis.scan_iter(backstage.keys.vector("*", "*")):
        backstage.redis.delete(key)
    _until_status_has(backstage, "first")
    yield
    backstage.set_fingerprint("first")
    _until_status_has(backstage, "first")


def _until_status_has(backstage: Backstage, fingerprint: str) -> None:
    expected = f'"fingerprint":"{fingerprint}"'.encode()
    wait_until(lambda: expected in (backstage.redis.get(backstage.keys.status) or b""))


def _text_vector(text: str) -> object:
    return vector_of(Blob.of(text.encode(), "file").sha256)


def _image_vector(seed: int) -> object:
    return vector_of(Blob.of(prepare(noise(seed), clip_model("first")), "pixels").sha256)


def test_texts_keep_their_order_and_duplicates_are_sent_once(client: Client, backstage: Backstage) -> None:
    ran = len(backstage.ran)
    texts = ["b", "a", "b", "c"]
    embeddings = client.embed_texts(texts, timeout_s=20)
    assert backstage.ran[ran:] == ["texts 3"]
    assert embeddings.vectors.dtype == np.float32
    assert embeddings.vectors.shape == (4, DIMENSION)
    np.testing.assert_array_equal(embeddings.vectors, [_text_vector(text) for text in texts])
    assert (embeddings.cached, embeddings.device, embeddings.fingerprint) == (0, "cpu", "first")
    assert len(embeddings.results) == 1


def test_what_is_in_the_cache_is_not_queued(client: Client, backstage: Backstage) -> None:
    first = client.embed_texts(["x", "y"], timeout_s=20)
    before = backstage.traces
    again = client.embed_texts(["y", "x"], timeout_s=20)
    assert backstage.traces == before
    np.testing.assert_array_equal(again.vectors, first.vectors[::-1])
    assert (again.cached, again.device, again.results) == (2, None, ())


def test_a_text_that_was_cut_is_told_also_from_the_cache(client: Client) -> None:
    long, short = "word " * 76, "word " * 75
    first = client.embed_texts([short, long], timeout_s=20)
    assert first.truncated == (False, True)
    again = client.embed_texts([long, "another", short, long], timeout_s=20)
    assert (again.truncated, again.cached) == ((True, False, False, True), 3)
    np.testing.assert_array_equal(again.vectors[[0, 2]], first.vectors[[1, 0]])
    assert client.embed_texts([long], timeout_s=20).results == ()
    assert client.embed_images([noise(9)], timeout_s=20).truncated == (False,)


def test_only_what_is_missing_is_sent(client: Client, backstage: Backstage) -> None:
    client.embed_images([noise(1), noise(2)], timeout_s=20)
    ran = len(backstage.ran)
    mixed = client.embed_images([noise(3), noise(1), noise(4)], timeout_s=20)
    assert backstage.ran[ran:] == ["images 2 pixels"]
    assert mixed.cached == 1
    np.testing.assert_array_equal(mixed.vectors, [_image_vector(seed) for seed in (3, 1, 4)])


def test_images_are_prepared_at_the_client(client: Client, backstage: Backstage) -> None:
    ran = len(backstage.ran)
    image = np.asarray(noise(5))
    bgra = np.dstack([image[:, :, ::-1], np.full(image.shape[:2], 255, np.uint8)])
    embeddings = client.embed_images([image, bgra], timeout_s=20)
    assert backstage.ran[ran:] == ["images 1 pixels"]
    np.testing.assert_array_equal(embeddings.vectors, [_image_vector(5)] * 2)


def test_an_unknown_clip_gets_files(client: Client, backstage: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client._embedder._models, "refresh", lambda: None)
    ran = len(backstage.ran)
    embeddings = client.embed_images([noise(6)], timeout_s=20)
    assert backstage.ran[ran:] == ["images 1 file"]
    np.testing.assert_array_equal(embeddings.vectors, [_image_vector(6)])


def test_a_clip_that_changed_is_noticed_and_no_vectors_are_mixed(client: Client, backstage: Backstage) -> None:
    client.embed_texts(["old"], timeout_s=20)
    client.embed_images([noise(7)], timeout_s=20)
    backstage.set_fingerprint("second")
    _until_status_has(backstage, "second")
    ran = len(backstage.ran)
    images = client.embed_images([noise(7), noise(8)], timeout_s=20)
    assert (images.fingerprint, images.cached) == ("second", 0)
    assert backstage.ran[ran:] == ["images 1 pixels", "images 2 pixels"]


def test_texts_of_a_clip_that_changed_are_asked_for_again(client: Client, backstage: Backstage) -> None:
    client.embed_texts(["old"], timeout_s=20)
    backstage.set_fingerprint("third")
    _until_status_has(backstage, "third")
    texts = client.embed_texts(["old", "new"], timeout_s=20)
    assert (texts.fingerprint, texts.cached) == ("third", 1)


def test_the_cache_answers_without_a_worker(client: Client, redis_url: str, backstage: Backstage) -> None:
    known = client.embed_texts(["known"], timeout_s=20)
    other = Backstage(redis_url, LONELY_TRACK)
    queued = other.redis.llen(other.keys.queue)
    sha256 = Blob.of(b"known", "file").sha256
    other.redis.set(other.keys.status, backstage.redis.get(backstage.keys.status), ex=60)
    other.redis.set(other.keys.vector("first", sha256), known.vectors.astype("<f4").tobytes(), ex=60)
    with Client(redis_url, LONELY_TRACK) as lonely:
        np.testing.assert_array_equal(lonely.embed_texts(["known"], timeout_s=20).vectors, known.vectors)
    assert other.redis.llen(other.keys.queue) == queued
    other.redis.close()
