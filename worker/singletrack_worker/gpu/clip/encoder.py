"""Runs in the worker: loads and asks one CLIP, which lives in a child process.

`process.py` runs the child and carries the calls; `program.py` answers them in the child.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from singletrack_tasks.errors import EncoderFailure, InvalidImage
from singletrack_tasks.payload.vectors import Vector
from singletrack_tasks.status import ClipModel, ResizeMode
from singletrack_worker.gpu.child.frames import Frame
from singletrack_worker.gpu.clip.batches import BATCH
from singletrack_worker.gpu.clip.process import EncoderProcess

LOAD_TIMEOUT_S = 180.0
# The GPU as an encoder process sees it.
SEEN_GPU = "cuda:0"


@dataclass(frozen=True)
class EncoderSettings:
    """What all encoders of a worker have in common.

    `encode_timeout_s` is for a batch of at most `BATCH` inputs; `threads` None leaves their number to torch.
    """

    weights: str
    resize_mode: ResizeMode
    encode_timeout_s: float
    threads: int | None


class Encoder:
    """One encoder process and the model in it; it starts without a model, importing what it will need."""

    def __init__(self, settings: EncoderSettings, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._model: ClipModel | None = None
        self._named: dict[str, str] = {}
        self._process = EncoderProcess(command, environment)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.alive

    @property
    def model(self) -> ClipModel | None:
        """The model that was loaded, None before."""
        return self._model

    def load(self, device: str, *, simulated: bool = False) -> ClipModel:
        """Load the model onto a device; raises `ClipUnavailable`, `EncoderFailure`.

        The process sees one GPU at most: whatever number a `cuda:n` has outside, it is the first one there.
        """
        on_gpu = device != "cpu" and not simulated
        self._named = {SEEN_GPU: device} if on_gpu else {}
        request = {
            "command": "load",
            "weights": self._settings.weights,
            "resize_mode": self._settings.resize_mode.value,
            "threads": self._settings.threads,
            "device": SEEN_GPU if on_gpu else device,
            "simulated": simulated,
        }
        answer = self._process.call(request, timeout_s=LOAD_TIMEOUT_S)
        self._model = ClipModel.parse(answer.header.get("model"))
        return self._model

    def where(self) -> str:
        """Ask for the device of the weights, by its name outside the process; raises `EncoderFailure`."""
        found = str(self._call({"command": "where"}).header["device"])
        return self._named.get(found, found)

    def embed_images(self, pixels: Sequence[bytes]) -> Vector:
        """Embed prepared images: n x dimension; raises `InvalidImage` for another size, `EncoderFailure`."""
        size = self._loaded().image_size
        if any(len(image) != size * size * 3 for image in pixels):
            raise InvalidImage(f"this CLIP takes prepared images of {size} x {size} x 3 bytes. Prepare them again.")
        if not pixels:
            return self._rows(b"", 0)
        answer = self._call({"command": "images", "count": len(pixels)}, b"".join(pixels), count=len(pixels))
        return self._rows(answer.payload, len(pixels))

    def embed_texts(self, texts: Sequence[str]) -> Vector:
        """Embed texts: n x dimension; raises `EncoderFailure`."""
        if not texts:
            return self._rows(b"", 0)
        answer = self._call({"command": "texts"}, json.dumps(list(texts)).encode(), count=len(texts))
        return self._rows(answer.payload, len(texts))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Say for each text whether it has more tokens than are embedded; raises `EncoderFailure`."""
        if not texts:
            return []
        answer = self._call({"command": "too_long"}, json.dumps(list(texts)).encode(), count=len(texts))
        flags = [bool(flag) for flag in answer.header["too_long"]]
        if len(flags) != len(texts):
            raise EncoderFailure(f"the encoder answered for {len(flags)} instead of {len(texts)} texts")
        return flags

    def end(self) -> None:
        """End the process and wait until it is gone; harmless when repeated."""
        self._process.end()

    def _call(self, header: Mapping[str, object], payload: bytes = b"", *, count: int = 1) -> Frame:
        batches = math.ceil(count / BATCH)
        return self._process.call(header, payload, timeout_s=self._settings.encode_timeout_s * batches)

    def _loaded(self) -> ClipModel:
        if self._model is None:
            raise EncoderFailure(f"the encoder process {self.pid} has no model yet")
        return self._model

    def _rows(self, data: bytes, count: int) -> Vector:
        dimension = self._loaded().dimension
        if len(data) != count * dimension * 4:
            raise EncoderFailure(f"the encoder answered {len(data)} bytes instead of {count} x {dimension} numbers")
        return np.frombuffer(data, dtype="<f4").reshape(count, dimension).astype(np.float32)
