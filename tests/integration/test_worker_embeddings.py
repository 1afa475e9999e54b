"""Embeddings by a real worker: each image is decoded once, within limits, and no longer than somebody waits."""

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from singletrack import Client, JobState
from singletrack_tasks.errors import ImageTooLarge, JobCancelled
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.image_limits import MAX_PIXELS, MAX_REQUEST_PIXELS
from singletrack_tasks.requests.embedding import EmbedImages, EmbedTexts
from singletrack_tasks.requests.request import Request
from singletrack_tasks.requests.vlm import Ask
from tests.integration.ops.waiting import wait_for

pytestmark = pytest.mark.ollama


def largest(shade: int) -> bytes:
    """The largest image that is accepted, of a few KB."""
    image = Image.new("1", (8000, MAX_PIXELS // 8000))
    image.putpixel((shade, 0), 1)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def stored(client: Client, files: list[bytes]) -> tuple[Blob, ...]:
    return tuple(client._link.blobs.put(files, "file", 600))


@contextmanager
def suspended(client: Client) -> Iterator[None]:
    """The CPU's encoder answers nothing meanwhile."""
    pid = client.status().clip.cpu_pid
    assert pid is not None
    encoder = psutil.Process(pid)
    encoder.suspend()
    try:
        yield
    finally:
        encoder.resume()


def test_an_image_that_is_named_often_has_one_vector(client: Client) -> None:
    (image,) = stored(client, [largest(1)])
    # More than are accepted of different ones.
    result = client.submit(EmbedImages(images=(image,) * 16), timeout_s=300).result()
    rows = result.vectors.array()
    assert rows.shape[0] == 16
    assert np.array_equal(rows, np.broadcast_to(rows[0], rows.shape))


def test_a_text_that_was_cut_is_told(client: Client) -> None:
    texts = [f"{uuid.uuid4().hex[:4]} {'word ' * count}" for count in (200, 3)]
    assert client.embed_texts(texts).truncated == (True, False)
    assert client.embed_texts(texts[::-1]).truncated == (False, True)


def test_the_worker_bounds_the_pixels_of_a_request(client: Client) -> None:
    images = stored(client, [largest(shade) for shade in range(MAX_REQUEST_PIXELS // MAX_PIXELS + 1)])
    requests: list[Request[Any]] = [EmbedImages(images=images), Ask(prompt="?", images=(images[0],) * len(images))]
    for request in requests:
        with pytest.raises(ImageTooLarge, match="pixels in all"):
            client.submit(request, timeout_s=300).result()


def test_no_more_is_embedded_once_the_job_is_cancelled(client: Client) -> None:
    texts = [f"{uuid.uuid4()} {number}" for number in range(128)]
    with suspended(client):
        job = client.submit(EmbedTexts(texts=tuple(texts)), timeout_s=300)
        wait_for(lambda: job.state is JobState.RUNNING, "it is being embedded")
        job.cancel()
        # The worker carries out remote commands in their order: once it answers this one, it has heard of the other.
        client.record(timeout_s=60)
    with pytest.raises(JobCancelled):
        job.result()
    # The worker ends it after the batch that was under way.
    client.ping(timeout_s=300)
    model = client.status().clip.model
    assert model is not None
    keys = [client._link.keys.vector(model.fingerprint, Blob.of(text.encode(), "file").sha256) for text in texts]
    assert client._link.redis.exists(*keys) <= 32
