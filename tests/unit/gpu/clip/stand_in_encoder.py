"""An encoder program without torch, which misbehaves as told: by its arguments at `load`, by its texts at work.

Its embeddings are random rows, seeded by their inputs. `die once PATH` and `hang once PATH` as a text do so
unless PATH is there, and make it first.
"""

import argparse
import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from singletrack_tasks.status import ClipModel, ResizeMode
from singletrack_worker.gpu.child.frames import BrokenFrame, Frame, read_frame, write_frame
from singletrack_worker.gpu.clip.batches import BATCH

SIZE = 8
DIMENSION = 16
WORDS_MAX = 75


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fingerprint", default="stand-in")
    parser.add_argument("--skew", action="store_true", help="embed otherwise than the others")
    parser.add_argument("--fail-load", choices=("error", "out_of_memory", "unavailable"))
    parser.add_argument("--saying", default="", help="the error of a load that fails")
    parser.add_argument("--die-at-load", action="store_true")
    parser.add_argument("--hang-at-load", type=Path, help="do so once this file is made")
    parser.add_argument("--elsewhere", action="store_true", help="say that the weights are on the CPU")
    parser.add_argument("--fail-full-batch", action="store_true", help="run out of memory at one")
    options = parser.parse_args()
    device = "cpu"
    while True:
        try:
            request = read_frame(sys.stdin.buffer)
        except BrokenFrame:
            return
        if request.header["command"] == "load":
            device = "cpu" if options.elsewhere else request.header["device"]
        answer = _answer(request, options, device)
        write_frame(sys.stdout.buffer, answer.header, answer.payload)


def _answer(request: Frame, options: argparse.Namespace, device: str) -> Frame:
    command = request.header["command"]
    if command == "load":
        return _load(request.header, options)
    if command == "where":
        return Frame({"device": device})
    if command == "texts":
        texts = json.loads(request.payload)
        for text in texts:
            _obey(text)
        return _rows([text.encode() for text in texts], skew=options.skew)
    if command == "too_long":
        return Frame({"too_long": [len(text.split()) > WORDS_MAX for text in json.loads(request.payload)]})
    if command != "images":
        return Frame({"error": {"kind": "failed", "text": f"there is no command {command!r}"}})
    if options.fail_full_batch and request.header["count"] >= BATCH:
        return Frame({"error": {"kind": "out_of_memory", "text": "told to fail: a full batch"}})
    step = SIZE * SIZE * 3
    pixels = [request.payload[start : start + step] for start in range(0, len(request.payload), step)]
    return _rows(pixels, skew=options.skew)


def _load(header: dict[str, Any], options: argparse.Namespace) -> Frame:
    if options.die_at_load:
        sys.stderr.write("the driver is gone\n")
        sys.stderr.flush()
        os._exit(3)
    if options.hang_at_load:
        options.hang_at_load.touch()
        threading.Event().wait()
    if options.fail_load:
        return Frame(
            {"error": {"kind": options.fail_load, "text": options.saying or f"told to fail: {options.fail_load}"}}
        )
    model = ClipModel(
        name="stand-in",
        fingerprint=options.fingerprint,
        dimension=DIMENSION,
        image_size=SIZE,
        resize_mode=ResizeMode(header["resize_mode"]),
        context_length=77,
        trained=False,
    )
    return Frame({"model": model.dump(), "simulated": header["simulated"], "threads": 1})


def _obey(text: str) -> None:
    deed, _, path = text.partition(" once ")
    if not path or Path(path).exists():
        return
    Path(path).touch()
    if deed == "die":
        os._exit(9)
    if deed == "hang":
        threading.Event().wait()


def _rows(inputs: list[bytes], *, skew: bool) -> Frame:
    rows = np.array([_row(data) for data in inputs], dtype=np.float32)
    if skew:
        rows = np.roll(rows, 1, axis=1)
    return Frame({"rows": len(rows)}, rows.astype("<f4").tobytes())


def _row(data: bytes) -> Any:
    numbers = np.random.default_rng(list(hashlib.sha256(data).digest()))
    row = numbers.normal(size=DIMENSION)
    return row / np.linalg.norm(row)


if __name__ == "__main__":
    main()
