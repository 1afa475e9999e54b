"""`CLIPManager`: CLIP in two encoder processes, so that leaving the GPU is as certain as the end of a process."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure, MigrationFailed
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel, ResizeMode
from singletrack_worker.gpu.clip import canaries as clip_canaries
from singletrack_worker.gpu.clip.encoder import Encoder, EncoderSettings
from singletrack_worker.gpu.clip.process import COMMAND
from singletrack_worker.gpu.clip.weights import WeightsSpec

T = TypeVar("T")

# What the CPU's encoder has loaded once lies in the cache: no later load waits for a network or gets other weights.
_CACHED = {"HF_HUB_OFFLINE": "1"}
# Which GPUs CUDA counts. Encoders never inherit it: the driver's figures, which the worker goes by, do not heed it.
_VISIBLE = "CUDA_VISIBLE_DEVICES"
# CUDA's own order is by speed; the driver's is by slot, and the worker counts as the driver does.
_GPU_ENVIRONMENT = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **_CACHED}
# A load that fails may take minutes, without a network or with one that is slow: not at every tick.
_LOAD_RETRY_S = 300.0

_log = logging.getLogger(__name__)


def default_command() -> Sequence[str]:
    """Return the command of an encoder process."""
    return COMMAND


class CLIPManager:
    """Implements `ports.Clip`.

    The CPU's encoder lives as long as the worker. The GPU's is started to migrate to the GPU and ended to migrate
    away: nothing less gives a CUDA context back. A warm spare that has imported everything but has not touched
    CUDA waits for the next promotion. Operations exclude each other; `model`, `device` and `pids` never wait.
    """

    def __init__(
        self,
        weights: str,
        *,
        resize_mode: ResizeMode,
        gpu_device: str | None,
        simulated: bool = False,
        encode_timeout_s: float = 60.0,
        load_timeout_s: float = 180.0,
        canary_tolerance: float = 1e-4,
        threads: int | None = None,
        command: Callable[[], Sequence[str]] = default_command,
    ) -> None:
        """Check the settings and start nothing; raises `InvalidConfiguration`.

        `gpu_device` is `cuda:n` or None for no GPU; a `simulated` one computes on the CPU under that name.
        `encode_timeout_s` is for a batch, see `EncoderSettings`. `canary_tolerance` is the largest 1 - cosine
        between the devices' answers. `command` makes the command line of each new encoder process.
        """
        WeightsSpec.parse(weights)
        self._settings = EncoderSettings(weights, resize_mode, encode_timeout_s, load_timeout_s, threads)
        self._gpu_device = gpu_device
        self._simulated = simulated
        self._canary_tolerance = canary_tolerance
        self._command = command
        self._lock = threading.RLock()
        # Held to start an encoder: `stop` either sees it or keeps it from being started.
        self._spawning = threading.Lock()
        self._spawned: set[Encoder] = set()
        self._stopped = False
        self._model: ClipModel | None = None
        self._reference: Vector | None = None
        self._load_error: ClipUnavailable | EncoderFailure | None = None
        self._load_again_at_s = 0.0
        self._cpu: Encoder | None = None
        self._gpu: Encoder | None = None
        self._spare: Encoder | None = None
        self._given_up: EncoderFailure | None = None

    @property
    def model(self) -> ClipModel | None:
        """Which CLIP this is, None until it was started with success."""
        return self._model

    @property
    def device(self) -> str:
        """The device of the encoder that serves; one that has died serves no more."""
        return self._gpu_device if self._gpu_device and _pid(self._gpu) is not None else "cpu"

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """The process ids of the CPU's and the GPU's encoder, None for one that does not run."""
        return _pid(self._cpu), _pid(self._gpu)

    @property
    def given_up(self) -> EncoderFailure | None:
        """Why the last encoder on the GPU was given up, None where it was not."""
        return self._given_up

    def start(self) -> None:
        """Start the CPU's encoder, and the spare where there is a GPU; harmless when repeated.

        Raises `ClipUnavailable`, `EncoderFailure`; the latter, too, after a `stop`, which is for good.
        """
        with self._lock:
            self._load_error = None
            self._working_cpu()
            self._refill_spare()

    def check(self) -> None:
        """Notice encoders that died; raises `EncoderFailure` or `ClipUnavailable` if none can be had.

        A load that failed is tried again by `start`, and else after five minutes: the CPU's encoder is missed with
        the same error until then.
        """
        with self._lock:
            if self._gpu is not None and not self._gpu.alive:
                self._give_up_gpu(EncoderFailure(f"The GPU's encoder process {self._gpu.pid} has died"))
            self._working_cpu()
            self._refill_spare()

    def promote(self) -> None:
        """Migrate to the GPU; harmless where CLIP is there. Raises `MigrationFailed`: CLIP is on the CPU then."""
        with self._lock:
            if self._gpu is not None and self._gpu.alive:
                return
            self._drop_gpu()
            if self._gpu_device is None:
                raise MigrationFailed("CLIP stays on the CPU: there is no GPU to migrate to.")
            try:
                self._gpu = self._gpu_encoder(self._gpu_device)
            except (EncoderFailure, ClipUnavailable) as error:
                raise MigrationFailed(
                    f"CLIP stays on the CPU: its encoder did not start on {self._gpu_device}. {error.message}",
                    {"device": self._gpu_device, **error.details},
                ) from error
            finally:
                self._refill_spare()
            self._given_up = None

    def demote(self) -> None:
        """Migrate to the CPU by ending the GPU's encoder; returns when it is gone."""
        with self._lock:
            self._drop_gpu()

    def find(self) -> str:
        """Ask the encoder that serves for the device of its weights; raises `EncoderFailure`, `ClipUnavailable`."""
        return self._serve(Encoder.where)

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        """Embed prepared images: unit rows, n x dimension.

        A GPU's encoder that fails is ended and the CPU's answers; the CPU's is started again once if it died, but
        not if it overran: it would overrun again.
        Raises `InvalidImage` for images of another size, `EncoderFailure`, `ClipUnavailable`.
        """
        return self._serve(lambda encoder: encoder.embed_images(pixels))

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        """Embed texts as `embed_images` does images."""
        return self._serve(lambda encoder: encoder.embed_texts(texts))

    def stop(self) -> None:
        """End all encoder processes for good, breaking off what they do; harmless when repeated."""
        with self._spawning:
            self._stopped = True
            encoders = list(self._spawned)
        for encoder in encoders:
            encoder.end()
        with self._lock:
            self._cpu = self._gpu = self._spare = None

    def _serve(self, operation: Callable[[Encoder], T]) -> T:
        with self._lock:
            if self._gpu is not None:
                try:
                    return operation(self._gpu)
                except EncoderFailure as error:
                    self._give_up_gpu(error)
            cpu = self._working_cpu()
            try:
                return operation(cpu)
            except EncoderFailure as error:
                if cpu.alive or error.details.get("kind") == "overrun":
                    raise
                _log.warning("the CPU's encoder is started again: %s", error.message)
            return operation(self._working_cpu())

    def _working_cpu(self) -> Encoder:
        """Give the CPU's encoder with its model, started and loaded as far as it is not."""
        if self._cpu is not None and self._cpu.alive and self._cpu.model is not None:
            return self._cpu
        if self._load_error is not None and time.monotonic() < self._load_again_at_s:
            raise _fresh(self._load_error)
        encoder = self._living_cpu()
        try:
            self._load_cpu(encoder)
        except (ClipUnavailable, EncoderFailure) as error:
            self._load_error, self._load_again_at_s = _fresh(error), time.monotonic() + _LOAD_RETRY_S
            raise
        self._load_error = None
        return encoder

    def _living_cpu(self) -> Encoder:
        if self._cpu is None or not self._cpu.alive:
            if self._cpu is not None:
                self._cpu.end()
            # It has no GPU in sight, so it can take no memory there.
            self._cpu = self._spawn({_VISIBLE: "", **(_CACHED if self._model else {})})
        return self._cpu

    def _load_cpu(self, encoder: Encoder) -> None:
        model = encoder.load("cpu")
        if self._model is not None and model != self._model:
            encoder.end()
            raise ClipUnavailable(
                f"the weights of {model.name!r} have changed while the worker ran ({self._model.fingerprint} became "
                f"{model.fingerprint}). Restart the worker."
            )
        try:
            self._reference = clip_canaries.embed(encoder, model.image_size)
        except EncoderFailure:
            # It has a model and cannot use it: only a new process may be better.
            encoder.end()
            raise
        self._model = model

    def _gpu_encoder(self, device: str) -> Encoder:
        """Give an encoder that has proven itself on the GPU."""
        self._working_cpu()
        encoder = self._take_spare()
        try:
            encoder.load(device, simulated=self._simulated)
            self._compare(encoder, device)
        except (EncoderFailure, ClipUnavailable, MigrationFailed):
            encoder.end()
            raise
        return encoder

    def _compare(self, encoder: Encoder, device: str) -> None:
        if self._model is None or self._reference is None:
            raise EncoderFailure("the CPU's encoder has no model yet")
        if encoder.model != self._model:
            raise MigrationFailed("CLIP stays on the CPU: the weights on disk have changed. Restart the worker.")
        found = encoder.where()
        if found != device:
            raise MigrationFailed(f"CLIP stays on the CPU: the weights went to {found} instead of {device}.")
        distance = clip_canaries.largest_distance(self._reference, clip_canaries.embed(encoder, self._model.image_size))
        # Written so that a distance that is no number fails, too.
        if not distance <= self._canary_tolerance:
            raise MigrationFailed(
                f"CLIP stays on the CPU: on {device} it computes something else. 1 - cosine is {distance:.2g} at "
                f"worst, and {self._canary_tolerance:.2g} is accepted.",
                {"device": device, "distance": distance, "tolerance": self._canary_tolerance},
            )
        _log.info("CLIP is on %s: 1 - cosine to the CPU is %.2g at worst", device, distance)

    def _give_up_gpu(self, error: EncoderFailure) -> None:
        _log.warning("CLIP falls back to the CPU: %s", error.message)
        self._given_up = EncoderFailure(error.message, error.details)
        self._drop_gpu()

    def _drop_gpu(self) -> None:
        """Serve from the CPU from now on, then end the GPU's encoder."""
        gpu, self._gpu = self._gpu, None
        if gpu is not None:
            gpu.end()

    def _take_spare(self) -> Encoder:
        spare, self._spare = self._spare, None
        if spare is not None and spare.alive:
            return spare
        if spare is not None:
            spare.end()
        return self._spawn(_GPU_ENVIRONMENT)

    def _refill_spare(self) -> None:
        """Start the next spare, which warms up by itself; without one the next promotion only takes longer."""
        if self._gpu_device is None or (self._spare is not None and self._spare.alive):
            return
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.end()
        try:
            self._spare = self._spawn(_GPU_ENVIRONMENT)
        except EncoderFailure as error:
            _log.warning("no spare encoder: %s", error.message)

    def _spawn(self, environment: Mapping[str, str]) -> Encoder:
        inherited = {name: value for name, value in os.environ.items() if name != _VISIBLE}
        with self._spawning:
            if self._stopped:
                raise EncoderFailure("CLIP is stopped, and stays so until the worker is restarted", {"kind": "ended"})
            encoder = Encoder(self._settings, self._command(), {**inherited, **environment})
            self._spawned = {earlier for earlier in self._spawned if earlier.alive} | {encoder}
        return encoder


def _fresh(error: ClipUnavailable | EncoderFailure) -> ClipUnavailable | EncoderFailure:
    # One that was raised holds its callers' frames, with all the images that they were to embed.
    return type(error)(error.message, error.details)


def _pid(encoder: Encoder | None) -> int | None:
    return encoder.pid if encoder is not None and encoder.alive else None
