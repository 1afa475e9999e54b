"""Embed images and texts with CLIP; what was embedded before comes out of the cache."""

import numpy as np
import pytest
from PIL import Image

from singletrack import Client

pytestmark = pytest.mark.ollama


def test_embeddings_are_rows_of_unit_length(client: Client) -> None:
    embeddings = client.embed_texts(["a red button", "a blue icon"])

    assert embeddings.vectors.shape == (2, 128)
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-4)


def test_images_and_texts_share_one_space(client: Client) -> None:
    images = client.embed_images([Image.new("RGB", (40, 30), "red"), Image.new("RGB", (30, 40), "blue")])
    texts = client.embed_texts(["red", "blue"])

    assert images.fingerprint == texts.fingerprint
    assert (images.vectors @ texts.vectors.T).shape == (2, 2)


def test_what_was_embedded_before_needs_no_gpu(client: Client) -> None:
    image = Image.effect_noise((40, 30), 50)
    first = client.embed_images([image])
    second = client.embed_images([image])

    assert (first.cached, second.cached) == (0, 1)
    assert second.device is None
    np.testing.assert_array_equal(first.vectors, second.vectors)
