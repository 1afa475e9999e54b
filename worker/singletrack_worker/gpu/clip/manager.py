"""`CLIPManager`: CLIP in two encoder processes, so that leaving the GPU is as certain as the end of a process."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from singletrack_tasks.errors import EncoderFailure
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel, GpuInfo, ResizeMode
from singletrack_worker.gpu.clip.cpu_encoder import CpuEncoder
from singletrack_worker.gpu.clip.encoder import Encoder, EncoderSettings
from singletrack_worker.gpu.clip.gpu_encoder import GpuEncoder
from singletrack_worker.gpu.clip.launcher import EncoderLauncher
from singletrack_worker.gpu.clip.process import COMMAND
from singletrack_worker.gpu.clip.weights import WeightsSpec

T = TypeVar("T")

_log = logging.getLogger(__name__)


class CLIPManager:
    """Implements `tenants.Clip`: serves from the GPU's encoder while there is one, from the CPU's otherwise.

    Operations exclude each other; `model`, `device`, `pids` and `given_up` never wait.
    """

    def __init__(
        self,
        weights: str,
        *,
        resize_mode: ResizeMode,
        gpu: GpuInfo | None,
        encode_timeout_s: float = 60.0,
        threads: int | None = None,
        command: Callable[[], Sequence[str]] = lambda: COMMAND,
    ) -> None:
        """Check the settings and start nothing; raises `InvalidConfiguration`.

        `weights`, `resize_mode`, `encode_timeout_s` and `threads` are those of `EncoderSettings`, `gpu` is that
        of `GpuEncoder`. `command` makes the command line of each new encoder process.
        """
        WeightsSpec.parse(weights)
        settings = EncoderSettings(weights, resize_mode, encode_timeout_s, threads)
        self._launcher = EncoderLauncher(settings, command)
        self._cpu = CpuEncoder(self._launcher)
        self._gpu = GpuEncoder(self._launcher, self._cpu, gpu)
        self._lock = threading.RLock()
        self._given_up: EncoderFailure | None = None

    @property
    def model(self) -> ClipModel | None:
        """Which CLIP this is, None until it was started with success."""
        return self._cpu.model

    @property
    def device(self) -> str:
        """The device of the encoder that serves; one that has died serves no more."""
        return self._gpu.device if self._gpu.device and self._gpu.pid is not None else "cpu"

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """The process ids of the CPU's and the GPU's encoder, None for one that does not run."""
        return self._cpu.pid, self._gpu.pid

    @property
    def given_up(self) -> EncoderFailure | None:
        """Why the last encoder on the GPU was given up, None where it was not."""
        return self._given_up

    def start(self) -> None:
        """Start the CPU's encoder, and the spare where there is a GPU; harmless when repeated.

        Raises `ClipUnavailable`, `EncoderFailure`; the latter, too, after a `stop`, which is for good.
        """
        with self._lock:
            self._cpu.allow_load()
            self._cpu.working()
            self._gpu.refill_spare()

    def check(self) -> None:
        """Replace encoders that died; raises `EncoderFailure` or `ClipUnavailable` if none can be had.

        A load that failed is tried again by `start`, or after five minutes; until then its error is raised again.
        """
        with self._lock:
            gpu = self._gpu.encoder
            if gpu is not None and not gpu.alive:
                self._give_up_gpu(EncoderFailure(f"The GPU's encoder process {gpu.pid} has died"))
            self._cpu.working()
            self._gpu.refill_spare()

    def promote(self) -> None:
        """Migrate to the GPU; harmless where CLIP is there. Raises `MigrationFailed`: CLIP is on the CPU then."""
        with self._lock:
            if self._gpu.pid is None:
                self._gpu.start()
                self._given_up = None

    def demote(self) -> None:
        """Migrate to the CPU by ending the GPU's encoder; returns when it is gone."""
        with self._lock:
            self._gpu.end()

    def find(self) -> str:
        """Ask the encoder that serves for the device of its weights; raises `EncoderFailure`, `ClipUnavailable`."""
        return self._serve(Encoder.where)

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        """Embed prepared images: unit rows, n x dimension.

        If the GPU's encoder fails, it is ended and the CPU's answers. The CPU's is started again once if it died, but
        not if it overran: it would overrun again.
        Raises `InvalidImage` for images of another size, `EncoderFailure`, `ClipUnavailable`.
        """
        return self._serve(lambda encoder: encoder.embed_images(pixels))

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        """Embed texts as `embed_images` does images."""
        return self._serve(lambda encoder: encoder.embed_texts(texts))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Say for each text whether it has more tokens than are embedded; asks and raises as `embed_images` does."""
        return self._serve(lambda encoder: encoder.too_long(texts))

    def stop(self) -> None:
        """End all encoder processes for good, breaking off what they do; harmless when repeated."""
        self._launcher.stop()
        with self._lock:
            self._cpu.forget()
            self._gpu.forget()

    def _serve(self, operation: Callable[[Encoder], T]) -> T:
        with self._lock:
            gpu = self._gpu.encoder
            if gpu is not None:
                try:
                    return operation(gpu)
                except EncoderFailure as error:
                    self._give_up_gpu(error)
            cpu = self._cpu.working()
            try:
                return operation(cpu)
            except EncoderFailure as error:
                if cpu.alive or error.details.get("kind") == "overrun":
                    raise
                _log.warning("the CPU's encoder is started again: %s", error.message)
            return operation(self._cpu.working())

    def _give_up_gpu(self, error: EncoderFailure) -> None:
        _log.warning("CLIP falls back to the CPU: %s", error.message)
        self._given_up = EncoderFailure(error.message, error.details)
        self._gpu.end()
