"""CLIP in two encoders that are not there, with faults on demand."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure, InvalidImage, MigrationFailed
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel
from singletrack_worker.gpu.clock import Clock
from singletrack_worker.gpu.tenants import Vram
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from tests.fakes.history import History

DIMENSION = 16
IMAGE_SIZE = 8
WORDS_MAX = 75
CLIP_MODEL = ClipModel(
    name="fake-clip", fingerprint="fake-p1", dimension=DIMENSION, image_size=IMAGE_SIZE, context_length=77
)


@dataclass
class ClipFaults:
    """What goes wrong with CLIP: states that last, and counts of calls that fail from now on."""

    weights_missing: bool = False
    promote_failures: int = 0
    dies_while_embedding: int = 0


def reference_embedding(data: bytes) -> Vector:
    """The embedding of an input, a pure function of its bytes: float32 of `DIMENSION`, unit length."""
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
    row = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (row / np.linalg.norm(row)).astype(np.float32)


class FakeClip:
    """CLIP in two encoders that are not there; `skew` is how far the GPU's answers are from the CPU's.

    A skew of s moves a vector by s of its length, so that 1 - cosine is about s^2 / 2.
    """

    def __init__(
        self,
        vram: Vram,
        clock: Clock,
        history: History | None = None,
        *,
        size_mb: int = 1100,
        promote_s: float = 1.0,
        skew: float = 1e-3,
    ) -> None:
        self.faults = ClipFaults()
        self.history = history or History(clock)
        self.size_mb, self.promote_s, self.skew = size_mb, promote_s, skew
        self._vram, self._clock = vram, clock
        self._model: ClipModel | None = None
        self._pids = itertools.count(1)
        self._cpu_pid: int | None = None
        self._gpu_pid: int | None = None
        self.given_up: EncoderFailure | None = None
        if isinstance(vram, SimulatedGpu):
            vram.add_tenant("clip", lambda: self.held_mb, pid=lambda: self._gpu_pid)

    @property
    def held_mb(self) -> int:
        """What the GPU's encoder takes (MiB)."""
        return self.size_mb if self._gpu_pid is not None else 0

    @property
    def weights_on(self) -> frozenset[str]:
        """The devices that weights are really on."""
        there = {"cpu": self._cpu_pid, "cuda:0": self._gpu_pid}
        return frozenset(device for device, pid in there.items() if pid is not None)

    @property
    def model(self) -> ClipModel | None:
        """Which CLIP this is, None until it was started with success."""
        return self._model

    @property
    def device(self) -> str:
        """The device of the encoder that serves."""
        return "cpu" if self._gpu_pid is None else "cuda:0"

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """The process ids, made up."""
        return self._cpu_pid, self._gpu_pid

    def start(self) -> None:
        """Start the CPU's encoder."""
        with self.history.deed("clip", "start"):
            self._working_cpu()

    def check(self) -> None:
        """Start the CPU's encoder again if it died."""
        with self.history.deed("clip", "check"):
            self._working_cpu()

    def promote(self) -> None:
        """Start the GPU's encoder if there is room, or fail as told."""
        with self.history.deed("clip", "promote"):
            if self._gpu_pid is not None:
                return
            self._working_cpu()
            self._clock.sleep(self.promote_s)
            vram = self._vram.read()
            if vram is None or vram.free_mb < self.size_mb:
                raise MigrationFailed("CLIP stays on the CPU: there is no room on the GPU")
            if self.faults.promote_failures:
                self.faults.promote_failures -= 1
                raise MigrationFailed("CLIP stays on the CPU, as it was told to")
            self._gpu_pid, self.given_up = next(self._pids), None

    def demote(self) -> None:
        """End the GPU's encoder."""
        with self.history.deed("clip", "demote"):
            self._gpu_pid = None

    def find(self) -> str:
        """The device of the encoder that serves."""
        with self.history.deed("clip", "find"):
            if self._gpu_pid is None:
                self._working_cpu()
            return self.device

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        """Embed prepared images."""
        with self.history.deed("clip", "embed"):
            for data in pixels:
                if len(data) != IMAGE_SIZE**2 * 3:
                    raise InvalidImage(f"{len(data)} bytes are not {IMAGE_SIZE} x {IMAGE_SIZE} pixels")
            return self._embed(pixels)

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        """Embed texts."""
        with self.history.deed("clip", "embed"):
            return self._embed([text.encode() for text in texts])

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Take each word for a token, and each text for one of 75 at most."""
        if self._gpu_pid is None:
            self._working_cpu()
        return [len(text.split()) > WORDS_MAX for text in texts]

    def stop(self) -> None:
        """End both encoders."""
        self._cpu_pid = self._gpu_pid = None

    def gpu_encoder_dies(self, kind: str = "died") -> None:
        """Kill the GPU's encoder, as the driver or the kernel may, or as it does itself when it is out of memory."""
        self._gpu_pid, self.given_up = None, EncoderFailure("the GPU's encoder died", {"kind": kind})

    def cpu_encoder_dies(self) -> None:
        """Kill the CPU's encoder."""
        self._cpu_pid = None

    def _working_cpu(self) -> None:
        if self._cpu_pid is not None:
            return
        if self.faults.weights_missing:
            raise ClipUnavailable("there are no weights, as it was told to")
        self._cpu_pid, self._model = next(self._pids), CLIP_MODEL

    def _embed(self, inputs: Sequence[bytes]) -> Vector:
        if self.faults.dies_while_embedding:
            self.faults.dies_while_embedding -= 1
            if self._gpu_pid is None:
                self.cpu_encoder_dies()
                raise EncoderFailure("the CPU's encoder died, as it was told to")
            self.gpu_encoder_dies()
        if self._gpu_pid is None:
            self._working_cpu()
        rows = [self._row(data) for data in inputs]
        return np.stack(rows) if rows else np.zeros((0, DIMENSION), np.float32)

    def _row(self, data: bytes) -> Vector:
        row = reference_embedding(data)
        if self._gpu_pid is not None:
            row = row + np.float32(self.skew) * reference_embedding(b"skew" + data)
            row = row / np.linalg.norm(row)
        return row.astype(np.float32)
