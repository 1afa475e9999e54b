"""The encoder on the GPU, which comes and goes with the migrations, and the warm spare for its next start."""

import logging

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure, MigrationFailed
from singletrack_worker.gpu.clip import canaries
from singletrack_worker.gpu.clip.batches import BATCH
from singletrack_worker.gpu.clip.cpu_encoder import CpuEncoder, Reference
from singletrack_worker.gpu.clip.encoder import Encoder
from singletrack_worker.gpu.clip.launcher import EncoderLauncher

# The largest 1 - cosine that is accepted between the two devices' embeddings of a canary.
CANARY_TOLERANCE = 1e-4

_log = logging.getLogger(__name__)


class GpuEncoder:
    """The encoder on one GPU: started to migrate there, and ended to migrate away.

    Nothing less than the end of its process gives a CUDA context back. The spare has imported everything but has not
    touched CUDA. `device` is `cuda:n` or None for no GPU; a `simulated` one computes on the CPU under that name. Only
    `device` and `pid` are safe from any thread.
    """

    def __init__(self, launcher: EncoderLauncher, cpu: CpuEncoder, device: str | None, *, simulated: bool) -> None:
        self._launcher = launcher
        self._cpu = cpu
        self._device = device
        self._simulated = simulated
        self._encoder: Encoder | None = None
        self._spare: Encoder | None = None

    @property
    def device(self) -> str | None:
        """The device, None for no GPU."""
        return self._device

    @property
    def encoder(self) -> Encoder | None:
        """The encoder that was started last, though it may have died; None if it was ended or did not start."""
        return self._encoder

    @property
    def pid(self) -> int | None:
        """The process id, None if it does not run."""
        encoder = self._encoder
        return encoder.pid if encoder is not None and encoder.alive else None

    def start(self) -> None:
        """Start an encoder that agrees with the CPU's, in the place of one that died.

        Raises `MigrationFailed`: there is none on the GPU then.
        """
        self.end()
        if self._device is None:
            raise MigrationFailed("CLIP stays on the CPU: there is no GPU to migrate to.")
        try:
            self._encoder = self._proven(self._device)
        except (EncoderFailure, ClipUnavailable) as error:
            raise MigrationFailed(
                f"CLIP stays on the CPU: its encoder did not start on {self._device}. {error.message}",
                {"device": self._device, **error.details},
            ) from error
        finally:
            self.refill_spare()

    def end(self) -> None:
        """Let go of the encoder, then end it; returns when it is gone, and is harmless when repeated."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.end()

    def forget(self) -> None:
        """Let go of the encoder and the spare, which their launcher has ended."""
        self._encoder = self._spare = None

    def refill_spare(self) -> None:
        """Launch the next spare, which warms up by itself; without one the next start only takes longer."""
        if self._device is None or (self._spare is not None and self._spare.alive):
            return
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.end()
        try:
            self._spare = self._launcher.launch_for_gpu()
        except EncoderFailure as error:
            _log.warning("no spare encoder: %s", error.message)

    def _proven(self, device: str) -> Encoder:
        """Return an encoder that was loaded onto the GPU and agrees with the CPU's."""
        reference = self._cpu.reference()
        encoder = self._take_spare()
        try:
            encoder.load(device, simulated=self._simulated)
            _compare(encoder, device, reference)
            if not self._simulated:
                _fill(encoder, reference.model.image_size)
        except (EncoderFailure, ClipUnavailable, MigrationFailed):
            encoder.end()
            raise
        return encoder

    def _take_spare(self) -> Encoder:
        spare, self._spare = self._spare, None
        if spare is not None and spare.alive:
            return spare
        if spare is not None:
            spare.end()
        return self._launcher.launch_for_gpu()


def _fill(encoder: Encoder, size: int) -> None:
    """Take the memory that a full batch takes: whether it is there, and how much it is, shows now, not at work."""
    encoder.embed_images([bytes(size * size * 3)] * BATCH)


def _compare(encoder: Encoder, device: str, reference: Reference) -> None:
    if encoder.model != reference.model:
        raise MigrationFailed("CLIP stays on the CPU: the weights on disk have changed. Restart the worker.")
    found = encoder.where()
    if found != device:
        raise MigrationFailed(f"CLIP stays on the CPU: the weights went to {found} instead of {device}.")
    embedded = canaries.embed(encoder, reference.model.image_size)
    distance = canaries.largest_distance(reference.canaries, embedded)
    # Written so that a distance that is not a number fails, too.
    if not distance <= CANARY_TOLERANCE:
        raise MigrationFailed(
            f"CLIP stays on the CPU: its embeddings on {device} differ from the CPU's. The largest 1 - cosine is "
            f"{distance:.2g}, and at most {CANARY_TOLERANCE:.2g} is accepted.",
            {"device": device, "distance": distance, "tolerance": CANARY_TOLERANCE},
        )
    _log.info("CLIP is on %s: the largest 1 - cosine to the CPU is %.2g", device, distance)
