"""Candidates ordered by how much their pictures are like the recorded one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from singletrack.agent.detector.available import available
from singletrack.agent.screen.screenshot import Pixels
from singletrack.client import Client
from singletrack_tasks.errors import SingletrackError

# As many as one request to CLIP takes beside the recorded picture.
MOST_RANKED: Final = 255


@dataclass(frozen=True, slots=True)
class Ranking:
    """How much each candidate is like the recorded picture, 0 to 1; None if that could not be told, and why not."""

    likenesses: tuple[float, ...] | None
    why: str = ""


class CropRanker(Protocol):
    """Compares pictures by what they show."""

    def rank(self, crop: Pixels, candidates: Sequence[Pixels]) -> Ranking:
        """Compare at most `MOST_RANKED` candidates (RGB pixels) with the crop. Raises no errors."""


class ClipRanker:
    """Compares pictures by the track's CLIP; an untrained one is not asked."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def rank(self, crop: Pixels, candidates: Sequence[Pixels]) -> Ranking:
        """Compare at most `MOST_RANKED` candidates (RGB pixels) with the crop; raises `ValueError` for more."""
        if len(candidates) > MOST_RANKED:
            raise ValueError(f"{len(candidates)} candidates are more than {MOST_RANKED}: leave out the farthest")
        if missing := available(self._client).no_clip:
            return Ranking(None, missing)
        try:
            vectors = self._client.embed_images([crop, *candidates]).vectors
        except SingletrackError as error:
            return Ranking(None, f"{type(error).__name__}: {error.message}")
        return Ranking(tuple(float(one) for one in np.clip(vectors[1:] @ vectors[0], 0, 1)))
