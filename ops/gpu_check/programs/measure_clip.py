"""Measures in a fresh process what it takes to have CLIP on a device.

`measure_clip.py WEIGHTS DEVICE GPU REPEATS BATCH...`
Prints a line of JSON. Seconds and milliseconds are of the product's own functions, `*_mb` is VRAM in use by NVML less
what was in use at the start; `stock_*` is open_clip used as its documentation does, on the same device.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from singletrack_tasks.status import ResizeMode
from singletrack_worker.gpu.clip import canaries
from singletrack_worker.gpu.clip.program import LoadedClip
from singletrack_worker.gpu.clip.weights import ClipNetwork, WeightsSpec, load_clip

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Plan:
    """Which batches to measure, and how often."""

    repeats: int
    batches: Sequence[int]


class Laps:
    """Seconds and VRAM (MiB) of one step after the other."""

    def __init__(self, used_mb: Callable[[], int]) -> None:
        self.told: dict[str, Any] = {}
        self._used_mb, self._at_start_mb = used_mb, used_mb()
        self._began_s = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a step."""
        now_s = time.perf_counter()
        self.told[f"{name}_s"] = round(now_s - self._began_s, 4)
        self.told[f"{name}_mb"] = self._used_mb() - self._at_start_mb
        self._began_s = time.perf_counter()


def main() -> None:
    """Measure and print."""
    weights, device = sys.argv[1:3]
    gpu, repeats, *batches = map(int, sys.argv[3:])
    laps = Laps(_meter(gpu) if device != "cpu" else lambda: 0)
    import torch

    laps.lap("import_torch")
    import open_clip  # noqa: F401 - its import is what is measured

    laps.lap("import_open_clip")
    laps.told["cuda_initialized_by_imports"] = torch.cuda.is_initialized()  # type: ignore[no-untyped-call] # torch's own gap
    network = load_clip(WeightsSpec.parse(weights), ResizeMode.SQUASH)
    laps.lap("load_on_host")
    loaded = LoadedClip(network, device, simulated=False)
    _wait(device)
    laps.lap("to_device")
    pictures = canaries.images(network.model.image_size)
    for lap in ("first_canaries", "second_canaries"):
        loaded.embed_images(len(pictures), b"".join(pictures))
        loaded.embed_texts(canaries.TEXTS)
        laps.lap(lap)
    laps.told |= _throughput(loaded, _Stock(network, device), pictures[0], Plan(repeats, batches))
    laps.told |= {"torch": torch.__version__, **_about(device)}
    sys.stdout.write(json.dumps(laps.told) + "\n")


def _throughput(loaded: LoadedClip, stock: "_Stock", picture: bytes, plan: Plan) -> dict[str, Any]:
    told: dict[str, Any] = {"batches": plan.batches}
    for count in plan.batches:
        pixels = picture * count
        told[f"ours_{count}_ms"] = _median_ms(partial(loaded.embed_images, count, pixels), plan.repeats)
        told[f"stock_{count}_ms"] = _median_ms(partial(stock.embed, count, pixels), plan.repeats)
    return told


class _Stock:
    """The same module, used as open_clip's documentation does: one batch, normalised on the device."""

    def __init__(self, network: ClipNetwork, device: str) -> None:
        import torch

        self._module, self._device, self._size = network.module, device, network.model.image_size
        self._dtype = torch.float32 if device == "cpu" else torch.float16
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(network.mean, device=device, dtype=self._dtype).view(shape)
        self._std = torch.tensor(network.std, device=device, dtype=self._dtype).view(shape)

    def embed(self, count: int, pixels: bytes) -> Any:
        """Embed pictures."""
        import torch

        with torch.inference_mode():
            raw = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(count, self._size, self._size, 3)
            images = raw.to(self._device).permute(0, 3, 1, 2).to(self._dtype).div_(255)
            features = self._module.encode_image(images.sub(self._mean).div(self._std))
            return torch.nn.functional.normalize(features, dim=-1).cpu()


def _median_ms(action: Callable[[], object], repeats: int) -> float:
    action()
    times_ms = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        action()
        times_ms.append(1000 * (time.perf_counter() - began_s))
    return round(statistics.median(times_ms), 3)


def _wait(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda.synchronize()


def _about(device: str) -> dict[str, Any]:
    import torch

    if device == "cpu":
        return {}
    return {
        "torch_reserved_mb": torch.cuda.memory_reserved() // _MIB,
        "device_name": torch.cuda.get_device_name(device),
        "arch_list": torch.cuda.get_arch_list(),
    }


def _meter(gpu: int) -> Callable[[], int]:
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(gpu)

    def used_mb() -> int:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return int(memory.total - memory.free) // _MIB

    return used_mb


if __name__ == "__main__":
    main()
