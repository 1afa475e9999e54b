"""Embeddings of images and texts, and the device that CLIP is on."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vectors
from singletrack_tasks.requests.request import Request, size_of
from singletrack_tasks.result import OperationResult

MAX_INPUTS = 256
MAX_TEXT_CHARS = 4_000

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]


class EmbeddingResult(OperationResult):
    """Unit-length embeddings, one per row in input order, and the device that computed them.

    `truncated` says for each text whether it was longer than CLIP reads, so that its end does not count; it is empty
    for images.
    """

    vectors: Vectors
    device: str
    fingerprint: str
    truncated: tuple[bool, ...] = ()

    @property
    def done(self) -> str:
        """The shape of the vectors, and the device that computed them."""
        return f"{self.vectors.rows} x {self.vectors.dimension} on {self.device}"


class EmbedImages(Request[EmbeddingResult], task="gpu.embed.images", kind="embed_images"):
    """Images to embed, 1 to 256; `fingerprint` names the CLIP model that prepared pixels were made for."""

    images: tuple[Blob, ...] = Field(min_length=1, max_length=MAX_INPUTS)
    fingerprint: str | None = None

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Count the images."""
        return f"images={size_of(data, 'images')}"


class EmbedTexts(Request[EmbeddingResult], task="gpu.embed.texts", kind="embed_texts"):
    """Texts to embed, 1 to 256, of up to 4,000 characters each.

    CLIP reads the first 77 tokens as a rule, and the result says which texts were cut.
    """

    texts: tuple[Text, ...] = Field(min_length=1, max_length=MAX_INPUTS)

    @classmethod
    def outline(cls, data: Mapping[str, Any]) -> str:
        """Count the texts."""
        return f"texts={size_of(data, 'texts')}"


class FindClipResult(OperationResult):
    """CLIP's device, `cpu` or `cuda:n`, as the encoder process read it from its weights."""

    device: str

    @property
    def done(self) -> str:
        """Where CLIP is."""
        return f"CLIP on {self.device}"


class FindClip(Request[FindClipResult], task="gpu.clip.device", kind="find_clip"):
    """Ask the active encoder which device its weights are on."""
