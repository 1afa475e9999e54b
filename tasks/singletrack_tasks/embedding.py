"""Embeddings of images and texts."""

from typing import Annotated, Any

from celery import Task
from pydantic import Field

from singletrack_tasks.celery_tasks import JobRef, current, gpu_task
from singletrack_tasks.message import Request
from singletrack_tasks.payload.blobs import Blob
from singletrack_tasks.payload.vectors import Vectors
from singletrack_tasks.result import OperationResult

MAX_INPUTS = 256
MAX_TEXT_CHARS = 4_000

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]


class EmbedImages(Request):
    """Images to embed, 1 to 256; `fingerprint` names the CLIP that blobs of prepared pixels were made for."""

    images: tuple[Blob, ...] = Field(min_length=1, max_length=MAX_INPUTS)
    fingerprint: str | None = None


class EmbedTexts(Request):
    """Texts to embed, 1 to 256, of up to 4,000 characters each; CLIP reads the first 77 tokens."""

    texts: tuple[Text, ...] = Field(min_length=1, max_length=MAX_INPUTS)


class EmbeddingResult(OperationResult):
    """Embeddings of unit length, one a row in the order of the inputs, and the device that made them."""

    vectors: Vectors
    device: str
    fingerprint: str

    @property
    def done(self) -> str:
        """The shape of the vectors, and the device that made them."""
        return f"{self.vectors.rows} x {self.vectors.dimension} on {self.device}"


@gpu_task("gpu.embed.images")
def embed_images(self: "Task[Any, Any]", request: dict[str, Any]) -> EmbeddingResult:
    """Embed images with CLIP."""
    return current().embed_images(EmbedImages.parse(request), JobRef(self.request.id or ""))


@gpu_task("gpu.embed.texts")
def embed_texts(self: "Task[Any, Any]", request: dict[str, Any]) -> EmbeddingResult:
    """Embed texts with CLIP."""
    return current().embed_texts(EmbedTexts.parse(request), JobRef(self.request.id or ""))
