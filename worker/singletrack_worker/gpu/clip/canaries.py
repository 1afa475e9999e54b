"""Canaries: a few fixed inputs whose embeddings show whether two encoders compute the same."""

import numpy as np

from singletrack_tasks.payload.vectors import Vector
from singletrack_worker.gpu.clip.encoder import Encoder

TEXTS = ("a button labelled Save", "the search field", "a photo of a mountain at dawn", "Zeile 3, Spalte 7: 1.024,00")


def images(size: int) -> list[bytes]:
    """Make four images of size x size x 3 bytes: a ramp, a chequerboard, stripes, and something like noise."""
    y, x, channel = np.indices((size, size, 3))
    ramp = (x + y + channel * 40) * 255 // (2 * size + 80)
    squares = ((x // 16 + y // 16 + channel) % 2) * 255
    stripes = (x // 5 % 2) * 200 + channel * 20
    noise = (x * 7919 + y * 104_729 + channel * 1_299_709 + x * y * 31) % 256
    return [picture.astype(np.uint8).tobytes() for picture in (ramp, squares, stripes, noise)]


def embed(encoder: Encoder, size: int) -> Vector:
    """Embed the canaries, images first; raises `EncoderFailure`."""
    return np.concatenate([encoder.embed_images(images(size)), encoder.embed_texts(TEXTS)])


def largest_distance(one: Vector, other: Vector) -> float:
    """Return the largest 1 - cosine between rows of unit length; NaN if any number is."""
    cosines = np.einsum("ij,ij->i", one.astype(np.float64), other.astype(np.float64))
    lengths = np.linalg.norm(one.astype(np.float64), axis=1) * np.linalg.norm(other.astype(np.float64), axis=1)
    return float(np.max(1.0 - cosines / lengths))
