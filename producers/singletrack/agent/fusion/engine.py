"""Makes one vector of a screen, and finds the known screens that are most like it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from singletrack.agent.errors import InvalidState
from singletrack.agent.fusion.index import MAX_STATES, ExactIndex, StateIndex
from singletrack.agent.fusion.passages import (
    Passages,
    Texted,
    passages_of_elements,
    passages_of_texts,
    passages_of_title,
)
from singletrack.agent.fusion.state_file import StateFile, load_states, save_states
from singletrack.agent.fusion.state_vector import StateOrigin, StateVector, Vector
from singletrack.agent.fusion.weights import FusionWeights, StatePart
from singletrack.agent.screen.screenshot import Pixels, Screenshot
from singletrack.agent.targets.element import Element
from singletrack.answers import Embeddings

DEFAULT_TIMEOUT_S = 120.0


class ClipSource(Protocol):
    """Whoever embeds by CLIP: a `Client`."""

    def embed_images(self, images: list[Pixels], *, timeout_s: float = ...) -> Embeddings:
        """Embed images."""

    def embed_texts(self, texts: list[str], *, timeout_s: float = ...) -> Embeddings:
        """Embed texts."""


class FusionEngine:
    """States of screens: image, texts, title and elements as CLIP sees them, in one vector.

    Each part's vector has unit length; the state is their weighted sum, scaled to unit length. The texts' vector is
    the mean of passages that CLIP reads to the end. A screen has the same state whichever device embedded it: the
    cosine of the two is at least 0.9999.
    """

    def __init__(
        self, client: ClipSource, weights: FusionWeights | None = None, index: StateIndex | None = None
    ) -> None:
        self._client = client
        self._weights = weights or FusionWeights()
        self._index: StateIndex = ExactIndex() if index is None else index
        if len(self._index):
            raise InvalidState("The index holds states already, of which CLIP is not known. Give an empty one.")
        self._origin: StateOrigin | None = None

    def __len__(self) -> int:
        """How many states are known."""
        return len(self._index)

    @property
    def recipe(self) -> str:
        """How states are made; only those of one recipe may be compared."""
        return self._weights.recipe

    def state_of(
        self,
        screenshot: Screenshot,
        texts: Iterable[str | Texted] = (),
        elements: Iterable[Element] = (),
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> StateVector:
        """Make the state of a screen, by at most two jobs of CLIP; what the cache knows is not sent.

        `texts` are the screen's, in the order of reading: strings, or whatever bears a `text`. The title is the
        screenshot's. Raises `InvalidState`, besides what `Client.embed_images` raises.
        """
        said = self._passages(screenshot, texts, elements)
        missing = tuple(part for part, passages in said.items() if not passages.texts)
        used = self._weights.without(missing)
        vectors, fingerprint = self._vectors(screenshot, used, said, timeout_s)
        summed = sum((used.of(part) * vector for part, vector in vectors.items()), np.zeros(1, np.float32))
        is_cut = any(passages.is_cut for passages in said.values())
        return StateVector(_unit(summed), StateOrigin(fingerprint, self.recipe), used, missing, is_cut)

    def remember(self, name: str, state: StateVector) -> None:
        """Make a state known under a name; one of that name is replaced.

        Raises `InvalidState` if it comes from another CLIP or recipe than the known ones, or if the index is full.
        """
        self._check(state.origin)
        self._index.put(name, state.vector)
        self._origin = state.origin

    def forget(self, name: str) -> None:
        """Forget a known state; raises `InvalidState` if there is none of that name."""
        try:
            self._index.drop(name)
        except KeyError:
            raise InvalidState(f"No state is known as {name!r}.") from None
        if not len(self._index):
            self._origin = None

    def find_similar(self, state: StateVector, k: int = 5) -> list[tuple[str, float]]:
        """Return the names of up to `k` known states with their cosines (-1 to 1), the most similar first.

        Raises `InvalidState` if the state comes from another CLIP or recipe than the known ones.
        """
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_STATES:
            raise InvalidState(f"k is 1 to {MAX_STATES} states to find, not {k!r}.")
        self._check(state.origin)
        return self._index.nearest(state.vector, k)

    def save(self, path: str | Path) -> None:
        """Write the known states: a JSON file at `path`, and a `.npz` of their vectors beside it.

        Raises `InvalidState` if there are none, or if the files cannot be written.
        """
        if self._origin is None:
            raise InvalidState("No state is known, so there is none to save.")
        names, vectors = self._index.entries()
        save_states(Path(path), StateFile(self._origin, tuple(names), vectors))

    def load(self, path: str | Path) -> None:
        """Add the states that `save` wrote to those that are known.

        Raises `InvalidState`, before any is added, if they come from another CLIP or recipe, or a file is damaged.
        """
        kept = load_states(Path(path))
        self._check(kept.origin)
        for name, vector in zip(kept.names, kept.vectors, strict=True):
            self._index.put(name, vector)
            self._origin = kept.origin

    def _check(self, origin: StateOrigin) -> None:
        origin.check_same(self._origin or StateOrigin(origin.fingerprint, self.recipe))

    def _passages(
        self, screenshot: Screenshot, texts: Iterable[str | Texted], elements: Iterable[Element]
    ) -> dict[StatePart, Passages]:
        """The passages of each part that has words and a weight."""
        said = {
            StatePart.TEXT: passages_of_texts(texts),
            StatePart.TITLE: passages_of_title(screenshot.title),
            StatePart.ELEMENTS: passages_of_elements(elements),
        }
        return {part: passages for part, passages in said.items() if self._weights.of(part)}

    def _vectors(
        self, screenshot: Screenshot, used: FusionWeights, said: Mapping[StatePart, Passages], timeout_s: float
    ) -> tuple[dict[StatePart, Vector], str]:
        """The vectors of the parts, and the CLIP that they are of."""
        vectors: dict[StatePart, Vector] = {}
        fingerprints = set()
        if used.image:
            pictures = self._client.embed_images([screenshot.pixels], timeout_s=timeout_s)
            vectors[StatePart.IMAGE] = pictures.vectors[0]
            fingerprints.add(pictures.fingerprint)
        texts = [text for passages in said.values() for text in passages.texts]
        if texts:
            words = self._client.embed_texts(texts, timeout_s=timeout_s)
            vectors |= _split(words.vectors, said)
            fingerprints.add(words.fingerprint)
        if len(fingerprints) != 1:
            raise InvalidState("The worker changed its CLIP while the state was being made. Make it again.")
        return vectors, fingerprints.pop()


def _split(rows: Vector, said: Mapping[StatePart, Passages]) -> dict[StatePart, Vector]:
    """Return a unit vector for each part: the weighted mean of its passages."""
    vectors = {}
    first = 0
    for part, passages in said.items():
        if not passages.texts:
            continue
        weights = np.array(passages.weights, np.float32)
        vectors[part] = _unit(weights @ rows[first : first + len(weights)])
        first += len(weights)
    return vectors


def _unit(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    if length == 0:
        raise InvalidState("The parts of the screen cancel each other out. Choose other weights.")
    return (vector / length).astype(np.float32)
