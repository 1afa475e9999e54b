"""Candidates ordered by how much their pictures are like the recorded one."""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from singletrack.agent.screen.screenshot import Pixels
from singletrack.client import Client

_MOST_CANDIDATES: Final = 60


class CropRanker(Protocol):
    """Compares pictures by what they show."""

    def likenesses(self, crop: Pixels, candidates: Sequence[Pixels]) -> list[float]:
        """Return how much each candidate (RGB pixels) is like the crop, 0 to 1."""


class ClipRanker:
    """Compares pictures by CLIP; raises what `Client.embed_images` raises."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def likenesses(self, crop: Pixels, candidates: Sequence[Pixels]) -> list[float]:
        """Return how much each of at most 60 candidates (RGB pixels) is like the crop, 0 to 1."""
        if not candidates:
            return []
        if len(candidates) > _MOST_CANDIDATES:
            raise ValueError(f"{len(candidates)} candidates are more than {_MOST_CANDIDATES}: leave out the farthest")
        vectors = self._client.embed_images([crop, *candidates]).vectors
        return [float(one) for one in np.clip(vectors[1:] @ vectors[0], 0, 1)]
