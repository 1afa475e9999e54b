"""An encoder process for a GPU that is not there: it takes memory of a simulated card, and computes without torch.

It obeys texts that begin with `FAULT:`, as `faulty_encoder.py` does on a real GPU.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from singletrack_ops.stand_in.card import SimulatedCard
from singletrack_tasks.status import ClipModel, ResizeMode
from singletrack_worker.gpu.child.frames import BrokenFrame, Frame, read_frame, write_frame
from singletrack_worker.gpu.clip import canaries
from singletrack_worker.gpu.clip.batches import BATCH

SIZE = 16
DIMENSION = 64
FAULT = "FAULT:"
# What a batch takes beside the model (MiB).
_BATCH_MB = 40
_SPARE_MB = 60
# Half precision leaves traces: about 1e-7 of 1 - cosine.
_TRACE = 5e-4
_SKEW = 0.03
_CANARIES = frozenset([*canaries.images(SIZE), *(text.encode() for text in canaries.TEXTS)])

_Rows = npt.NDArray[np.float32]


class SimulatedEncoder:
    """Answers frames; `plant` names the fault that was planted, '' for none."""

    def __init__(self, card: SimulatedCard, clip_mb: int, plant: str) -> None:
        self._card = card
        self._clip_mb = clip_mb
        self._plant = plant
        self._device = "cpu"
        self._has_batch = False
        self._was_faulted = card.folder / "faulted"
        if plant == "spare" and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
            card.take("spare", _SPARE_MB)

    def answer(self, request: Frame) -> Frame:
        """Answer one frame."""
        match request.header["command"]:
            case "load":
                return self._load(request.header)
            case "ready":
                return Frame({"cuda_initialized": False})
            case "where":
                return Frame({"device": self._device})
            case "too_long":
                return Frame({"too_long": [False] * len(json.loads(request.payload))})
            case "texts":
                return self._texts(json.loads(request.payload))
            case _:
                step = SIZE * SIZE * 3
                pixels = [request.payload[start : start + step] for start in range(0, len(request.payload), step)]
                return self._rows(pixels)

    def _load(self, header: dict[str, Any]) -> Frame:
        if header["device"] != "cpu":
            if self._plant == "gone" and self._was_faulted.exists():
                return _error("error", "no kernel image is available (simulated)")
            if self._card.take("python", self._clip_mb) < self._clip_mb:
                self._card.give_back()
                return _error("out_of_memory", "CUDA out of memory (simulated)")
        self._device = header["device"]
        model = ClipModel(
            name="simulated",
            fingerprint="0123456789abcdef",
            dimension=DIMENSION,
            image_size=SIZE,
            resize_mode=ResizeMode(header["resize_mode"]),
            context_length=77,
            trained=False,
        )
        return Frame({"model": model.dump(), "simulated": True, "threads": 1})

    def _texts(self, texts: list[str]) -> Frame:
        for text in texts:
            if text.startswith(FAULT) and (self._device != "cpu" or self._plant == "lost"):
                self._was_faulted.touch()
                fault = text.removeprefix(FAULT).split()[0]
                if (failed := _obey(fault)) is not None:
                    return failed
        return self._rows([text.encode() for text in texts])

    def _rows(self, inputs: list[bytes]) -> Frame:
        on_gpu = self._device != "cpu"
        if on_gpu and len(inputs) >= BATCH and not self._has_batch:
            if self._card.take("python", _BATCH_MB) < _BATCH_MB:
                return _error("out_of_memory", "CUDA out of memory (simulated)")
            self._has_batch = True
        rows = np.array([self._row(data, on_gpu=on_gpu) for data in inputs], dtype="<f4")
        return Frame({"rows": len(rows)}, rows.tobytes())

    def _row(self, data: bytes, *, on_gpu: bool) -> _Rows:
        row = _direction(data)
        if on_gpu:
            is_skewed = self._plant == "skew" and data not in _CANARIES
            row = row + (_SKEW if is_skewed else _TRACE) * _direction(b"trace" + data)
        return (row / np.linalg.norm(row)).astype(np.float32)


def _obey(fault: str) -> Frame | None:
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        threading.Event().wait()
    if fault == "oom":
        return _error("out_of_memory", "CUDA out of memory. Tried to allocate 4.00 TiB. (simulated)")
    return _error("error", f"CUDA error: {fault} (simulated)")


def _direction(data: bytes) -> npt.NDArray[np.float64]:
    numbers = np.random.default_rng(list(hashlib.sha256(data).digest()))
    row = numbers.normal(size=DIMENSION)
    unit: npt.NDArray[np.float64] = row / np.linalg.norm(row)
    return unit


def _error(kind: str, text: str) -> Frame:
    return Frame({"error": {"kind": kind, "text": text}})


def main() -> None:
    """Answer until the worker has gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--clip-mb", type=int, required=True)
    parser.add_argument("--plant", default="")
    given = parser.parse_args()
    encoder = SimulatedEncoder(SimulatedCard(given.card), given.clip_mb, given.plant)
    while True:
        try:
            request = read_frame(sys.stdin.buffer)
        except BrokenFrame:
            return
        answer = encoder.answer(request)
        write_frame(sys.stdout.buffer, answer.header, answer.payload)


if __name__ == "__main__":
    main()
