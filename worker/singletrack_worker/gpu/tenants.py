"""The ports of the GPU and its two tenants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from singletrack_tasks.errors import EncoderFailure
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.recording import GpuProcess
from singletrack_tasks.requests.vlm import Cut, VlmOptions
from singletrack_tasks.schema import JsonSchema
from singletrack_tasks.status import ClipModel, GpuInfo, VRAMInfo
from singletrack_worker.gpu.cancellation import Cancellation


@dataclass(frozen=True)
class VlmListing:
    """The server's listing of a loaded model: its size, and how much of it is on the GPU (MiB)."""

    size_mb: int
    vram_mb: int


@dataclass(frozen=True)
class OtherModel:
    """A model that another client has loaded on the server: its size, and how much of it is on the GPU (MiB)."""

    name: str
    size_mb: int
    vram_mb: int


@dataclass(frozen=True)
class VlmAnswer:
    """One raw answer with the server's own figures; see `AskResult`."""

    text: str
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_s: float | None = None
    generate_s: float | None = None
    truncated: Cut | None = None
    thought_chars: int = 0
    context_tokens: int | None = None


def ignore_text(text: str) -> None:
    """Ignore a piece of an answer that is not streamed."""


class Vlm(Protocol):
    """A VLM on a server."""

    @property
    def model(self) -> str:
        """Return the name of the model."""

    def goes_by(self, name: str) -> bool:
        """Return whether a name is one of the model's; the server may have to be asked. Raises `OllamaUnreachable`."""

    def sees_images(self) -> bool | None:
        """Return whether the model takes images, None if the server does not tell.

        Raises `OllamaUnreachable`, `ModelMissing`.
        """

    def listing(self) -> VlmListing | None:
        """Return the server's listing of the model, None if it is not loaded; raises `OllamaUnreachable`."""

    @property
    def others(self) -> tuple[OtherModel, ...]:
        """Return the other models that the server listed in its last answer to `listing`."""

    def load(self) -> None:
        """Load the model, one attempt; returns when it is listed.

        Raises `OllamaUnreachable`, `ModelMissing`, `OllamaFailure`.
        """

    def unload(self) -> None:
        """Unload the model; returns when it is no longer listed.

        Waits first for a model that is still loading. Raises `OllamaUnreachable`, `VlmUnloadFailed`.
        """

    def unload_other(self, name: str) -> None:
        """Unload another model than ours; returns when it is no longer listed, at once if it was not loaded.

        Waits only briefly for one that is busy. Raises `OllamaUnreachable`, `OllamaFailure`,
        `VlmUnloadFailed`.
        """

    def ask(
        self,
        prompt: str,
        images: Sequence[bytes],
        json_schema: JsonSchema | None,
        options: VlmOptions,
        cancellation: Cancellation,
        on_text: Callable[[str], None] = ignore_text,
    ) -> VlmAnswer:
        """Ask a question, one attempt; `on_text` is called with each piece of the answer as it arrives, about a token.

        Raises `OllamaUnreachable`, `OllamaFailure`, `OllamaRefusal`, `ModelMissing`, `InvalidImage` for an image that
        the server cannot read, `ImagesUnsupported`, `PromptTooLong`, `OnlyThought`, and `JobCancelled` once
        `cancellation` is set: the server then stops generating, too.
        """

    def close(self) -> None:
        """Close the connections."""


class Clip(Protocol):
    """CLIP in encoder processes: one on the CPU that stays, one on the GPU that runs while CLIP is on it."""

    @property
    def model(self) -> ClipModel | None:
        """Return the CLIP model, None until it was started successfully."""

    @property
    def device(self) -> str:
        """Return the device of the active encoder: `cpu` or `cuda:n`."""

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """Return the process ids of the CPU's and the GPU's encoder."""

    @property
    def given_up(self) -> EncoderFailure | None:
        """Return why the last encoder on the GPU was given up, None if it was not."""

    def start(self) -> None:
        """Start the CPU encoder; raises `ClipUnavailable` if there are no weights, `EncoderFailure`."""

    def check(self) -> None:
        """Detect encoders that died: restart the CPU's, fall back to it from the GPU's.

        Raises `EncoderFailure` or `ClipUnavailable` if no encoder can be started.
        """

    def promote(self) -> None:
        """Migrate to the GPU: start its encoder, compare canaries, switch; raises `MigrationFailed`."""

    def demote(self) -> None:
        """Migrate to the CPU by ending the GPU's encoder; always succeeds."""

    def find(self) -> str:
        """Ask the active encoder for the device of its weights; raises `EncoderFailure`."""

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        """Embed images made by `images.prepare`: unit rows, n x dimension; raises `EncoderFailure`."""

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        """Embed texts: unit rows, n x dimension; raises `EncoderFailure`."""

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Return for each text whether it has more tokens than are embedded; raises `EncoderFailure`."""

    def stop(self) -> None:
        """End all encoder processes for good."""


class Vram(Protocol):
    """The driver's view of one GPU's memory."""

    @property
    def gpu(self) -> GpuInfo | None:
        """Return the GPU's identity, None without a GPU; it does not change."""

    @property
    def reason(self) -> str:
        """Return why there is no GPU, or no reading of it, and what to do; empty after a reading."""

    def read(self) -> VRAMInfo | None:
        """Read the memory now, None without a GPU, and while the driver tells nothing of it."""

    def processes(self) -> tuple[GpuProcess, ...]:
        """List the processes with memory on the GPU, by pid; empty if the driver does not list them."""

    def close(self) -> None:
        """Release the driver."""


@dataclass(frozen=True)
class Tenants:
    """The GPU and its two tenants."""

    vram: Vram
    vlm: Vlm
    clip: Clip
