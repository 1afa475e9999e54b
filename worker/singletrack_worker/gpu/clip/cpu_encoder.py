"""The encoder on the CPU, which serves whenever the GPU's does not."""

import time
from dataclasses import dataclass

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel
from singletrack_worker.gpu.clip import canaries
from singletrack_worker.gpu.clip.encoder import Encoder
from singletrack_worker.gpu.clip.launcher import EncoderLauncher

# A load that fails may take minutes, without a network or with a slow one: not at every tick.
LOAD_RETRY_S = 300.0


@dataclass(frozen=True)
class Reference:
    """What every encoder of the worker has to agree with: the model, and what the CPU makes of the canaries."""

    model: ClipModel
    canaries: Vector


class CpuEncoder:
    """The CPU's encoder, which lives as long as the worker: one that died is started and loaded again when needed.

    Only `model` and `pid` are safe from any thread.
    """

    def __init__(self, launcher: EncoderLauncher) -> None:
        self._launcher = launcher
        self._encoder: Encoder | None = None
        self._reference: Reference | None = None
        self._load_error: ClipUnavailable | EncoderFailure | None = None
        self._load_again_at_s = 0.0

    @property
    def model(self) -> ClipModel | None:
        """Which CLIP this is, None until it was loaded with success."""
        return self._reference.model if self._reference is not None else None

    @property
    def pid(self) -> int | None:
        """The process id, None if it does not run."""
        encoder = self._encoder
        return encoder.pid if encoder is not None and encoder.alive else None

    def working(self) -> Encoder:
        """Return the encoder with its model, starting and loading it as far as needed.

        Raises `ClipUnavailable`, `EncoderFailure`: those of a load that failed for `LOAD_RETRY_S`, without another try.
        """
        if self._encoder is not None and self._encoder.alive and self._encoder.model is not None:
            return self._encoder
        if self._load_error is not None and time.monotonic() < self._load_again_at_s:
            raise _fresh(self._load_error)
        encoder = self._living()
        try:
            self._reference = self._load(encoder)
        except (ClipUnavailable, EncoderFailure) as error:
            self._load_error, self._load_again_at_s = _fresh(error), time.monotonic() + LOAD_RETRY_S
            raise
        self._load_error = None
        return encoder

    def reference(self) -> Reference:
        """Return what other encoders have to agree with; raises as `working` does."""
        self.working()
        if self._reference is None:
            raise EncoderFailure("the CPU's encoder has no model yet")
        return self._reference

    def allow_load(self) -> None:
        """Let the next load be tried at once, even if the last one has just failed."""
        self._load_error = None

    def forget(self) -> None:
        """Let go of the encoder, which its launcher has ended."""
        self._encoder = None

    def _living(self) -> Encoder:
        if self._encoder is None or not self._encoder.alive:
            if self._encoder is not None:
                self._encoder.end()
            self._encoder = self._launcher.launch_for_cpu(cached=self._reference is not None)
        return self._encoder

    def _load(self, encoder: Encoder) -> Reference:
        model = encoder.load("cpu")
        if self.model is not None and model != self.model:
            encoder.end()
            raise ClipUnavailable(
                f"the weights of {model.name!r} have changed while the worker ran ({self.model.fingerprint} became "
                f"{model.fingerprint}). Restart the worker."
            )
        try:
            return Reference(model, canaries.embed(encoder, model.image_size))
        except EncoderFailure:
            # It has a model and cannot use it: only a new process may be better.
            encoder.end()
            raise


def _fresh(error: ClipUnavailable | EncoderFailure) -> ClipUnavailable | EncoderFailure:
    # One that was raised holds its callers' frames, with all the images that they were to embed.
    return type(error)(error.message, error.details)
