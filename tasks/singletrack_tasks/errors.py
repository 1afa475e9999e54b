"""The error hierarchy: each error says what to do and reaches the caller as its own type.

An error is *transient* (worth retrying unchanged), *permanent* (the request or the setup must change)
or *capacity* (try later; the figures are in `details`). `args` is always `(message, details)`, both JSON:
that is how Celery's result backend transports an exception and rebuilds it for the caller.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

ErrorKind = Literal["transient", "permanent", "capacity"]
_SHOWN_CHARS = 300
# No advice is longer; what is was quoted from somewhere.
_MESSAGE_CHARS = 6000
_CUT = "..."


class SingletrackError(Exception):
    """Base of all errors that Singletrack raises on purpose; `details` is a JSON object of figures."""

    kind: ClassVar[ErrorKind] = "permanent"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        if len(message) > _MESSAGE_CHARS:
            message = f"{message[: _MESSAGE_CHARS - len(_CUT)]}{_CUT}"
        super().__init__(message, dict(details or {}))

    @property
    def message(self) -> str:
        """What happened and what to do about it."""
        return str(self.args[0])

    @property
    def details(self) -> dict[str, Any]:
        """Figures and raw values, by name."""
        details: dict[str, Any] = self.args[1]
        return details

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        # For logs and Flower, so without the details: they may hold a model's answer.
        shown = self.message if len(self.message) <= _SHOWN_CHARS else f"{self.message[:_SHOWN_CHARS]}{_CUT}"
        return f"{type(self).__name__}({shown!r})"


class TransientError(SingletrackError):
    """A failure that a retry may well fix."""

    kind: ClassVar[ErrorKind] = "transient"


class PermanentError(SingletrackError):
    """A failure that recurs until the request or the setup is changed."""


class CapacityError(SingletrackError):
    """An operation that needs more than is currently available; the figures are in `details`."""

    kind: ClassVar[ErrorKind] = "capacity"


class InvalidRequest(PermanentError, ValueError):
    """A request that is not valid as written."""


class UnsupportedVersion(InvalidRequest):
    """A message of a version that this side does not support."""


class InvalidImage(InvalidRequest):
    """Bytes, a file or an array that is not an image, is truncated, or is in an unsupported format."""


class ImageTooLarge(InvalidImage):
    """An image with more pixels or bytes than are accepted."""


class InvalidSchema(InvalidRequest):
    """Not a valid JSON schema."""


class ImagesUnsupported(InvalidImage):
    """Images for a model that takes none."""

    @classmethod
    def of(cls, model: str) -> Self:
        """Build the error for a model."""
        return cls(
            f"{model} takes no images: it would answer as if it had seen them. Leave the images out, or set "
            "SINGLETRACK_VLM_MODEL on the worker to a model that `ollama show` lists with the capability `vision`."
        )


class PromptTooLong(InvalidRequest):
    """A prompt that does not fit the model's context; `details` has `prompt_tokens` and `context_tokens`, if known."""


class UnknownModel(InvalidRequest):
    """A request for a model that this track does not serve."""


class InvalidConfiguration(PermanentError, ValueError):
    """Settings that contradict each other or cannot be read."""


class NotInWorker(PermanentError, RuntimeError):
    """A task body called in a process without a GPU manager."""


class AnswerOutsideSchema(PermanentError):
    """A model whose answers violated the schema twice; `details["raw_text"]` is its last answer."""

    @property
    def raw_text(self) -> str:
        """The model's last answer, verbatim."""
        return str(self.details.get("raw_text", ""))


class OnlyThought(PermanentError):
    """A model that thought until its tokens were spent, and answered nothing; `details` has the figures."""


class AnswerTimeout(PermanentError, TimeoutError):
    """A VLM that was still answering when the worker's answer time-out expired."""


class DeadlinePassed(PermanentError, TimeoutError):
    """A job whose deadline passed: it was not started, or was broken off."""


class EventsLost(PermanentError):
    """A position in the events that is no longer kept; `details` has the id of the `oldest` event that is."""


class JobCancelled(PermanentError):
    """A job that its caller cancelled."""


class DeadLettered(PermanentError):
    """A job that was set aside instead of being retried; `details` has the reason and how often it was started."""


class ModelMissing(PermanentError):
    """A model that the Ollama server does not have."""


class OllamaRefusal(PermanentError):
    """An Ollama server, or what is in front of it, that refuses a request and will do so again."""


class ClipUnavailable(PermanentError):
    """CLIP weights that could not be loaded."""


class WorkerFailure(PermanentError):
    """An unexpected exception in the worker: a defect, with its type and text."""


class NoWorker(TransientError, TimeoutError):
    """No worker serves this track."""


class RedisUnavailable(TransientError, ConnectionError):
    """The Redis server does not answer, or refuses this client."""


class JobLost(TransientError):
    """A job that is no longer in Redis: its queue was purged, or the server lost its data."""


class BlobMissing(TransientError):
    """A payload that is no longer in Redis."""


class OllamaUnreachable(TransientError, ConnectionError):
    """No Ollama server answers at the configured address."""


class OllamaFailure(TransientError):
    """An Ollama server that answered with an error or with something unusable."""


class VlmLoadFailed(TransientError):
    """A VLM that could not be loaded in any of the attempts."""


class VlmUnloadFailed(TransientError):
    """A model that is still listed after it was asked to unload."""


class VramNotReleased(TransientError):
    """VRAM that is still in use although its tenant is gone; the driver's figures are in `details`."""


class EncoderFailure(TransientError):
    """An encoder process that died, timed out, or answered with an error."""


class MigrationFailed(TransientError):
    """A CLIP migration that failed; CLIP keeps running where it was."""


class QueueFull(CapacityError):
    """A queue, or its payloads, that would exceed the track's limits; the figures are in `details`."""


class NotEnoughVram(CapacityError):
    """An operation that needs more VRAM than can be freed, refused before it started."""

    @classmethod
    def of(cls, what: str, *, needed_mb: int, free_mb: int, freeable_mb: int, total_mb: int) -> Self:
        """Build the error from the figures, all in MiB."""
        return cls(
            f"{what} needs {needed_mb} MB of VRAM; {free_mb} MB are free and {freeable_mb} MB more could be "
            f"freed, of {total_mb} MB in all. Choose a smaller model, or stop other programs on the GPU.",
            {"needed_mb": needed_mb, "free_mb": free_mb, "freeable_mb": freeable_mb, "total_mb": total_mb},
        )
