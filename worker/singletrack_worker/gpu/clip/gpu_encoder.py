"""The encoder on the GPU, which comes and goes with the migrations, and the warm spare for its next start."""

import logging

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure, MigrationFailed
from singletrack_tasks.status import GpuInfo
from singletrack_worker.gpu.clip import canaries
from singletrack_worker.gpu.clip.batches import BATCH
from singletrack_worker.gpu.clip.cpu_encoder import CpuEncoder, Reference
from singletrack_worker.gpu.clip.encoder import Encoder
from singletrack_worker.gpu.clip.launcher import EncoderLauncher

# The largest 1 - cosine that is accepted between the two devices' embeddings of a canary.
CANARY_TOLERANCE = 1e-4

# The driver lists the GPU, or there would be no encoder for it, and a new process cannot open it.
_NO_DEVICE = ("no cuda gpus are available", "no cuda-capable device", "cuda unknown error", "nodevice")
_NO_DEVICE_ADVICE = (
    "The driver lists the GPU, but a new process cannot open it. A container loses its devices when systemd is "
    "reloaded on the host: restart the container. Elsewhere `singletrack doctor` says whether driver and torch agree."
)

_log = logging.getLogger(__name__)


class GpuEncoder:
    """The encoder on one GPU: started to migrate there, and ended to migrate away.

    Nothing less than the end of its process gives a CUDA context back. The spare has imported everything but has not
    touched CUDA. `device` is `cuda:n` by the driver's number of the `gpu`, None for no GPU; the process itself sees
    that GPU alone. A simulated one computes on the CPU under that name.

    Only `device` and `pid` are safe from any thread.
    """

    def __init__(self, launcher: EncoderLauncher, cpu: CpuEncoder, gpu: GpuInfo | None) -> None:
        self._launcher = launcher
        self._cpu = cpu
        self._gpu = gpu
        self._device = None if gpu is None else f"cuda:{gpu.index}"
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
        if self._gpu is None or self._device is None:
            raise MigrationFailed("CLIP stays on the CPU: there is no GPU to migrate to.")
        try:
            self._encoder = self._proven(self._gpu, self._device)
        except (EncoderFailure, ClipUnavailable) as error:
            raise MigrationFailed(
                f"CLIP stays on the CPU: its encoder did not start on {self._device}. {_advised(error.message)}",
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
        if self._gpu is None or (self._spare is not None and self._spare.alive):
            return
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.end()
        try:
            self._spare = self._launcher.launch_for_gpu(self._gpu)
        except EncoderFailure as error:
            _log.warning("no spare encoder: %s", error.message)

    def _proven(self, gpu: GpuInfo, device: str) -> Encoder:
        """Return an encoder that was loaded onto the GPU and agrees with the CPU's."""
        reference = self._cpu.reference()
        encoder = self._take_spare(gpu)
        try:
            encoder.load(device, simulated=gpu.simulated)
            _compare(encoder, device, reference)
            if not gpu.simulated:
                _fill(encoder, reference.model.image_size)
        except (EncoderFailure, ClipUnavailable, MigrationFailed):
            encoder.end()
            raise
        return encoder

    def _take_spare(self, gpu: GpuInfo) -> Encoder:
        spare, self._spare = self._spare, None
        if spare is not None and spare.alive:
            return spare
        if spare is not None:
            spare.end()
        return self._launcher.launch_for_gpu(gpu)


def _advised(message: str) -> str:
    """Add what to do to an error of CUDA's that does not say it."""
    if any(words in message.lower() for words in _NO_DEVICE):
        return f"{message.rstrip('. ')}. {_NO_DEVICE_ADVICE}"
    return message


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
