"""Gets embeddings: from the cache if they are there, else from the worker."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from singletrack.answers import Embeddings
from singletrack.questions import file_payloads
from singletrack.reading.snapshots import ClipModels
from singletrack.wire.link import RedisLink
from singletrack_tasks.errors import DeadlinePassed, InvalidRequest, WorkerFailure
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.images import ImageLike, prepare, to_rgb
from singletrack_tasks.payload.vectors import Vector, read_cache_entry
from singletrack_tasks.requests.embedding import EmbeddingResult, EmbedImages, EmbedTexts
from singletrack_tasks.status import ClipModel

Embed = EmbedImages | EmbedTexts
# An embedding, and whether its text was cut.
_Row = tuple[Vector, bool]


class RunEmbed(Protocol):
    """Puts a request on the queue and waits for its result, for at most `timeout_s` seconds."""

    def __call__(self, request: Embed, timeout_s: float, /) -> EmbeddingResult:
        """Run a request."""


@dataclass(frozen=True)
class _Inputs:
    """Inputs by content: the hashes in the caller's order, and how to ask for some of them."""

    sha256s: list[str]
    request: Callable[[list[str]], Embed]


class _FingerprintChanged(Exception):
    """The track serves another CLIP than expected."""


class Embedder:
    """Embeds images and texts; each distinct input is sent once, and only if it is not in the cache."""

    def __init__(self, link: RedisLink, models: ClipModels, run: RunEmbed) -> None:
        self._link = link
        self._models = models
        self._run = run

    def images(self, images: Sequence[ImageLike], timeout_s: float) -> Embeddings:
        """Embed images."""
        return self._embed(lambda model: self._image_inputs(images, model, timeout_s), timeout_s)

    def texts(self, request: EmbedTexts, timeout_s: float) -> Embeddings:
        """Embed the texts of a request."""
        inputs = _text_inputs(request)
        return self._embed(lambda model: inputs, timeout_s)

    def _embed(self, inputs_for: Callable[[ClipModel | None], _Inputs], timeout_s: float) -> Embeddings:
        until_s = time.monotonic() + timeout_s
        for model in self._candidates():
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                break
            try:
                return self._with(model, inputs_for(model), left_s)
            except _FingerprintChanged:
                continue
        raise DeadlinePassed("the embeddings were not ready in time. Allow more time with timeout_s.")

    def _candidates(self) -> Iterator[ClipModel | None]:
        """The CLIPs that the track may serve: as last seen, as seen now, and None for any (without the cache)."""
        yield self._models.known()
        yield self._models.refresh()
        yield None

    def _with(self, model: ClipModel | None, inputs: _Inputs, timeout_s: float) -> Embeddings:
        rows = self._cached(model, inputs.sha256s) if model else {}
        missing = [sha256 for sha256 in dict.fromkeys(inputs.sha256s) if sha256 not in rows]
        cached = sum(sha256 in rows for sha256 in inputs.sha256s)
        if model and not missing:
            return _embeddings(rows, inputs.sha256s, model.fingerprint, None, cached, ())
        result = self._ask(model, inputs.request(missing), timeout_s)
        rows.update(zip(missing, _rows(result, len(missing)), strict=True))
        return _embeddings(rows, inputs.sha256s, result.fingerprint, result.device, cached, (result,))

    def _ask(self, model: ClipModel | None, request: Embed, timeout_s: float) -> EmbeddingResult:
        try:
            result = self._run(request, timeout_s)
        except InvalidRequest as error:
            if model and "fingerprint" in error.details:
                raise _FingerprintChanged from error
            raise
        if model and result.fingerprint != model.fingerprint:
            # Rows of two CLIPs must not be mixed, and the cached ones are of the other one.
            raise _FingerprintChanged
        return result

    def _cached(self, model: ClipModel, sha256s: list[str]) -> dict[str, _Row]:
        distinct = list(dict.fromkeys(sha256s))
        with self._link.reaching() as client:
            found: list[Any] = client.mget([self._link.keys.vector(model.fingerprint, sha256) for sha256 in distinct])
        read = (None if data is None else read_cache_entry(data, model.dimension) for data in found)
        return {sha256: row for sha256, row in zip(distinct, read, strict=True) if row is not None}

    def _image_inputs(self, images: Sequence[ImageLike], model: ClipModel | None, timeout_s: float) -> _Inputs:
        form: Literal["file", "pixels"] = "file" if model is None else "pixels"
        payloads = _prepared(images, model) if model else file_payloads(images, decoded_once=True)
        blobs = [Blob.of(data, form) for data in payloads]
        by_hash = {blob.sha256: (blob, data) for blob, data in zip(blobs, payloads, strict=True)}

        def request(sha256s: list[str]) -> EmbedImages:
            with self._link.reaching():
                self._link.blobs.put([by_hash[sha256][1] for sha256 in sha256s], form, timeout_s)
            wanted = tuple(by_hash[sha256][0] for sha256 in sha256s)
            return EmbedImages(images=wanted, fingerprint=model.fingerprint if model else None)

        return _Inputs([blob.sha256 for blob in blobs], request)


def _prepared(images: Sequence[ImageLike], model: ClipModel) -> list[bytes]:
    """Prepare images for CLIP; a file that is named several times is read once."""
    files: dict[str | Path | bytes, bytes] = {}
    prepared = []
    for image in images:
        if not isinstance(image, str | Path | bytes):
            prepared.append(prepare(to_rgb(image), model))
            continue
        if image not in files:
            files[image] = prepare(to_rgb(image), model)
        prepared.append(files[image])
    return prepared


def _text_inputs(request: EmbedTexts) -> _Inputs:
    sha256s = [Blob.of(text.encode(), "file").sha256 for text in request.texts]
    by_hash = dict(zip(sha256s, request.texts, strict=True))
    return _Inputs(sha256s, lambda wanted: EmbedTexts(texts=tuple(by_hash[sha256] for sha256 in wanted)))


def _rows(result: EmbeddingResult, expected: int) -> list[_Row]:
    vectors = result.vectors.array()
    truncated = result.truncated or (False,) * expected
    if len(vectors) != expected or len(truncated) != expected:
        raise WorkerFailure(f"the worker returned {len(vectors)} embeddings for {expected} inputs: a defect in it")
    return list(zip(vectors, truncated, strict=True))


def _embeddings(
    rows: dict[str, _Row],
    sha256s: list[str],
    fingerprint: str,
    device: str | None,
    cached: int,
    results: tuple[EmbeddingResult, ...],
) -> Embeddings:
    """Put rows into the caller's order."""
    vectors, truncated = zip(*(rows[sha256] for sha256 in sha256s), strict=True)
    return Embeddings(np.stack(vectors), fingerprint, device, cached, results, truncated)
