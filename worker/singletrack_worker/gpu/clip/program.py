"""Runs in the child: the program that holds the CLIP model and answers the worker's frames on stdin and stdout.

The worker starts it through `process.py` and speaks with it through `encoder.py`. It begins as a warm spare: torch and
open_clip are imported, CUDA is not touched, and it waits for `load`. It ends when its stdin does, hence with the
worker, whatever it is doing.

Commands (header, payload -> header, payload):
`ready` -> `cuda_initialized`, once the imports are done;
`load` with weights, device, simulated, resize_mode, threads -> model, simulated, threads;
`images` with count, n x size x size x 3 bytes from `images.prepare` -> rows, n x dimension float32, little endian;
`texts`, a JSON list -> the same;
`too_long`, a JSON list of texts -> too_long, for each whether it has more tokens than are embedded;
`where` -> the device of the weights. An error is answered as `error` with kind and text.
"""

import importlib
import json
import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from singletrack_tasks.errors import ClipUnavailable
from singletrack_tasks.status import ResizeMode
from singletrack_worker.gpu.child.frames import BrokenFrame, Frame, read_frame, write_frame
from singletrack_worker.gpu.child.program import ignore_signals, take_pipes
from singletrack_worker.gpu.clip.batches import BATCH
from singletrack_worker.gpu.clip.weights import ClipNetwork, WeightsSpec, load_clip
from singletrack_worker.gpu.out_of_memory import OUT_OF_MEMORY, says_out_of_memory

if TYPE_CHECKING:
    import torch


class LoadedClip:
    """A model on its device: in fp32 on the CPU, in fp16 with fp32 reductions on CUDA.

    A simulated device computes as the CPU does, but reports the name that it was given.
    """

    def __init__(self, clip: ClipNetwork, device: str, *, simulated: bool) -> None:
        import torch

        self._clip = clip
        self._named = device if simulated else None
        self._device = torch.device("cpu" if simulated else device)
        self._dtype = torch.float32 if self._device.type == "cpu" else torch.float16
        _make_exact(self._device)
        clip.module.to(device=self._device, dtype=self._dtype)
        self._mean = torch.tensor(clip.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(clip.std, device=self._device).view(1, 3, 1, 1)

    def where(self) -> str:
        """Return the device that all weights are on; raises `RuntimeError` if they are on several."""
        tensors = self._clip.module.state_dict().values()
        devices = sorted({str(value.device) for value in tensors})
        if len(devices) != 1:
            raise RuntimeError(f"the weights are spread over {devices}")
        return self._named or devices[0]

    def embed_images(self, count: int, pixels: bytes) -> bytes:
        """Embed `count` prepared images."""
        size = self._clip.model.image_size
        image_bytes = size * size * 3
        if count < 1 or len(pixels) != count * image_bytes:
            raise ValueError(f"{len(pixels)} bytes are not {count} images of {size} x {size} x 3 bytes")
        images = memoryview(pixels)
        return b"".join(self._encode_images(images[part]) for part in _parts(len(pixels), BATCH * image_bytes))

    def embed_texts(self, texts: Sequence[str]) -> bytes:
        """Embed texts; those longer than the context are cut."""
        return b"".join(self._encode_texts(list(texts[part])) for part in _parts(len(texts), BATCH))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Say for each text whether it has more tokens than the context holds."""
        tokenizer = self._clip.tokenizer
        # One place more: it has a token of its own, and not the padding, only for a text that does not fit.
        places = tokenizer([""]).shape[1] + 1
        padding = tokenizer([""], context_length=places)[0, -1]
        flags: list[bool] = (tokenizer(list(texts), context_length=places)[:, -1] != padding).tolist()
        return flags

    def _encode_images(self, pixels: memoryview) -> bytes:
        import torch

        size = self._clip.model.image_size
        with torch.inference_mode():
            images = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).to(self._device)
            images = images.view(-1, size, size, 3).permute(0, 3, 1, 2)
            inputs = images.to(torch.float32).div(255).sub(self._mean).div(self._std)
            return _unit_rows(self._clip.module.encode_image(inputs.to(self._dtype)))

    def _encode_texts(self, texts: list[str]) -> bytes:
        import torch

        with torch.inference_mode():
            return _unit_rows(self._clip.module.encode_text(self._clip.tokenizer(texts).to(self._device)))


class Session:
    """Carries out the commands on the model that was loaded last, a `make` of it."""

    def __init__(self, make: type[LoadedClip]) -> None:
        self._make = make
        self._loaded: LoadedClip | None = None
        self._commands: dict[str, Callable[[Frame], Frame]] = {
            "ready": self._ready,
            "load": self._load,
            "images": self._images,
            "texts": self._texts,
            "too_long": self._too_long,
            "where": self._where,
        }

    def answer(self, request: Frame) -> Frame:
        """Return the answer to a command, an error frame if it fails."""
        try:
            return self._commands[request.header["command"]](request)
        except ClipUnavailable as error:
            return _error("unavailable", error.message)
        # Nobody above could handle it: whatever went wrong is for the worker to know.
        except Exception as error:
            traceback.print_exc()
            return _error(_kind(error), f"{type(error).__name__}: {error}")

    def _ready(self, _: Frame) -> Frame:
        import torch

        return Frame({"cuda_initialized": torch.cuda.is_initialized()})  # type: ignore[no-untyped-call] # torch's own gap

    def _load(self, request: Frame) -> Frame:
        header = request.header
        self._loaded = None
        clip = load_clip(WeightsSpec.parse(header["weights"]), ResizeMode(header["resize_mode"]))
        threads = _fix_threads(header["threads"])
        self._loaded = self._make(clip, header["device"], simulated=header["simulated"])
        return Frame({"model": clip.model.dump(), "simulated": header["simulated"], "threads": threads})

    def _images(self, request: Frame) -> Frame:
        count = request.header["count"]
        return Frame({"rows": count}, self._clip().embed_images(count, request.payload))

    def _texts(self, request: Frame) -> Frame:
        texts = json.loads(request.payload)
        return Frame({"rows": len(texts)}, self._clip().embed_texts(texts))

    def _too_long(self, request: Frame) -> Frame:
        return Frame({"too_long": self._clip().too_long(json.loads(request.payload))})

    def _where(self, _: Frame) -> Frame:
        return Frame({"device": self._clip().where()})

    def _clip(self) -> LoadedClip:
        if self._loaded is None:
            raise RuntimeError("no model is loaded: send `load` first")
        return self._loaded


def main(make: type[LoadedClip] = LoadedClip) -> None:
    """Answer frames until the worker has gone; `make` is what a model on its device is made into."""
    ignore_signals()
    stdin, stdout = take_pipes()
    requests: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(stdin, requests), name="frames", daemon=True).start()
    _warm_up()
    session = Session(make)
    while True:
        answer = session.answer(requests.get())
        write_frame(stdout, answer.header, answer.payload)


def _receive(stdin: BinaryIO, requests: "queue.SimpleQueue[Frame]") -> None:
    while True:
        try:
            requests.put(read_frame(stdin))
        except BrokenFrame:
            # The main thread may hang in an import or in a kernel, and stderr leads nowhere any more: nothing
            # gentler is sure to end the process.
            os._exit(0)


def _warm_up() -> None:
    try:
        importlib.import_module("torch")
        importlib.import_module("open_clip")
    except ImportError:
        # The answer to `load` will say what to do.
        traceback.print_exc()


def _make_exact(device: "torch.device") -> None:
    """Choose exact arithmetic: deterministic on the CPU, fp32 reductions and no TF32 on CUDA."""
    import torch

    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        return
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def _fix_threads(threads: int | None) -> int:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def _unit_rows(features: "torch.Tensor") -> bytes:
    import torch

    rows = torch.nn.functional.normalize(features.float(), dim=-1).cpu()
    if not bool(torch.isfinite(rows).all()):
        raise ArithmeticError("the embedding is not finite")
    return rows.numpy().astype("<f4").tobytes()


def _parts(length: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, length, step))


def _kind(error: Exception) -> str:
    return OUT_OF_MEMORY if isinstance(error, MemoryError) or says_out_of_memory(str(error)) else "error"


def _error(kind: str, text: str) -> Frame:
    # CUDA's messages come with pages of advice; the size of a header is limited.
    error: dict[str, Any] = {"kind": kind, "text": text[:4000]}
    return Frame({"error": error})


if __name__ == "__main__":
    main()
