"""The one tree of errors, each of which says what to do and arrives at the caller as itself.

An error is *transient* (worth another try as it is), *permanent* (the request or the set-up must change)
or *capacity* (try later; the figures are in `details`). `args` is always `(message, details)`, both JSON:
that is how Celery's result backend carries an exception and builds it again at the caller.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

ErrorKind = Literal["transient", "permanent", "capacity"]
_SHOWN_CHARS = 300


class SingletrackError(Exception):
    """Base of all errors that Singletrack raises on purpose; `details` is a JSON object of figures."""

    kind: ClassVar[ErrorKind] = "permanent"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
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
        # What logs and Flower show: the details may hold a model's answer.
        shown = self.message if len(self.message) <= _SHOWN_CHARS else f"{self.message[:_SHOWN_CHARS]}..."
        return f"{type(self).__name__}({shown!r})"


class TransientError(SingletrackError):
    """Something that may well work at the next try."""

    kind: ClassVar[ErrorKind] = "transient"


class PermanentError(SingletrackError):
    """Something that stays wrong until the request or the set-up is changed."""


class CapacityError(SingletrackError):
    """Something that needs more than there is at the moment; the figures are in `details`."""

    kind: ClassVar[ErrorKind] = "capacity"


class InvalidRequest(PermanentError, ValueError):
    """A request that cannot be meant as it was written."""


class UnsupportedVersion(InvalidRequest):
    """A message of a version that this side does not know."""


class InvalidImage(InvalidRequest):
    """Bytes, a file or an array that is not an image, is cut short, or is not of a supported kind."""


class ImageTooLarge(InvalidImage):
    """An image of more pixels or bytes than are accepted."""


class InvalidSchema(InvalidRequest):
    """A JSON schema that is none."""


class UnknownModel(InvalidRequest):
    """A request for a model that this track does not serve."""


class InvalidConfiguration(PermanentError, ValueError):
    """Settings that contradict each other or cannot be read."""


class NotInWorker(PermanentError, RuntimeError):
    """A task body that was called where there is no GPU manager."""


class AnswerOutsideSchema(PermanentError):
    """A model that answered outside the schema twice; `details["raw_text"]` is its last answer."""

    @property
    def raw_text(self) -> str:
        """The model's last answer, as it came."""
        return str(self.details.get("raw_text", ""))


class AnswerTimeout(PermanentError, TimeoutError):
    """A VLM that was still answering when the worker's limit for an answer was up."""


class DeadlinePassed(PermanentError, TimeoutError):
    """A job whose caller no longer waits: it was not started, or was broken off."""


class EventsLost(PermanentError):
    """Events to go on from that are no longer kept; `details` has the id of the `oldest` that is."""


class JobCancelled(PermanentError):
    """A job that its caller cancelled."""


class DeadLettered(PermanentError):
    """A job that was put aside instead of being tried again; `details` say why, and how often it was begun."""


class ModelMissing(PermanentError):
    """A model that the Ollama server does not have."""


class ClipUnavailable(PermanentError):
    """CLIP weights that could not be loaded."""


class WorkerFailure(PermanentError):
    """An exception in the worker that it did not expect: a defect, with its type and text."""


class NoWorker(TransientError, TimeoutError):
    """No worker serves this track."""


class RedisUnavailable(TransientError, ConnectionError):
    """The Redis server does not answer, or not to us."""


class BlobMissing(TransientError):
    """A payload that is no longer in Redis."""


class OllamaUnreachable(TransientError, ConnectionError):
    """No Ollama server answers at the configured address."""


class OllamaFailure(TransientError):
    """An Ollama server that answered with an error or with something that is no answer."""


class VlmLoadFailed(TransientError):
    """A VLM that was not loaded, whatever was tried."""


class VlmUnloadFailed(TransientError):
    """A VLM that is still listed after it was asked to go."""


class VramNotReleased(TransientError):
    """VRAM that is still taken although its tenant is gone; the driver's figures are in `details`."""


class EncoderFailure(TransientError):
    """An encoder process that died, overran its time-out, or answered with an error."""


class MigrationFailed(TransientError):
    """A CLIP migration that did not come about; CLIP works where it was."""


class QueueFull(CapacityError):
    """A queue, or its payloads, that would grow past the track's limits; the figures are in `details`."""


class NotEnoughVram(CapacityError):
    """An operation that needs more VRAM than can be freed, refused before it started."""

    @classmethod
    def of(cls, what: str, *, needed_mb: int, free_mb: int, freeable_mb: int, total_mb: int) -> Self:
        """Build the error from the figures, all in MiB."""
        return cls(
            f"{what} needs {needed_mb} MB of VRAM; {free_mb} MB are free and {freeable_mb} MB more could be "
            f"freed, of {total_mb} MB in all. Choose a smaller model, or end what else uses the GPU.",
            {"needed_mb": needed_mb, "free_mb": free_mb, "freeable_mb": freeable_mb, "total_mb": total_mb},
        )
