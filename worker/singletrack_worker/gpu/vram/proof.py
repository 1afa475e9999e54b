"""A program that tries the worker's GPU: what the driver says of it, and whether torch computes on it.

`python -m singletrack_worker.gpu.vram.proof [INDEX_OR_UUID]` chooses the GPU as the worker does and prints a JSON
object a line: first `driver`, then `torch`, so that one that hangs or dies in torch has told the rest. Figures are MiB.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.status import GpuInfo
from singletrack_worker.gpu.cuda_visibility import VISIBLE, seeing
from singletrack_worker.gpu.vram.cards import NvmlCard, choose, handle_of, list_cards, text_of
from singletrack_worker.gpu.vram.memory import MemoryUntold, explain, read_memory

_SIZE = 256


def main(arguments: list[str]) -> None:
    """Print what the driver says and, if it names a GPU, what torch does on it."""
    gpu, told = _ask_driver(arguments[0] if arguments else None, os.environ)
    _print("driver", told)
    if gpu is not None:
        # Before torch is imported: CUDA reads it once.
        os.environ.update(seeing(gpu))
        _print("torch", _compute())


def _ask_driver(wanted: str | None, environ: Mapping[str, str]) -> tuple[GpuInfo | None, dict[str, Any]]:
    """Return the GPU, None for none, and what is told of it: `error` and its `kind` for what went wrong."""
    try:
        import pynvml
    except ImportError:
        return None, {"kind": "no_bindings", "error": "the package nvidia-ml-py is not installed"}
    try:
        pynvml.nvmlInit()
        return _look(pynvml, wanted, environ)
    except (pynvml.NVMLError_DriverNotLoaded, pynvml.NVMLError_LibraryNotFound) as error:
        return None, {"kind": "no_driver", "error": f"no NVIDIA driver answers ({error})"}
    except pynvml.NVMLError as error:
        return None, {"kind": "no_answer", "error": f"the NVIDIA driver does not answer: {explain(pynvml, error)}"}
    except InvalidConfiguration as error:
        return None, {"kind": "settings", "error": error.message}


def _look(nvml: ModuleType, wanted: str | None, environ: Mapping[str, str]) -> tuple[GpuInfo | None, dict[str, Any]]:
    told: dict[str, Any] = {"version": text_of(nvml.nvmlSystemGetDriverVersion)}
    with suppress(nvml.NVMLError):
        told["cuda"] = nvml.nvmlSystemGetCudaDriverVersion_v2() // 1000
    cards = list_cards(nvml)
    card = choose(cards, wanted, environ)
    if card is None:
        why = f"{VISIBLE} hides every GPU" if cards else "the NVIDIA driver finds no GPU"
        return None, {**told, "kind": "no_gpu", "error": why}
    gpu = GpuInfo(name=card.name, uuid=card.uuid or f"unreadable-{card.index}", index=card.index)
    return gpu, {**told, "gpus": len(cards), "gpu": gpu.dump(), **_facts(nvml, card)}


def _facts(nvml: ModuleType, card: NvmlCard) -> dict[str, Any]:
    handle = handle_of(nvml, card)
    facts: dict[str, Any] = {}
    try:
        memory, facts["unified_memory"] = read_memory(nvml, handle)
        facts["total_mb"] = memory.total_mb
    except MemoryUntold as error:
        facts["memory_untold"] = str(error)
    for name, ask in (
        ("capability", nvml.nvmlDeviceGetCudaComputeCapability),
        ("compute_mode", nvml.nvmlDeviceGetComputeMode),
    ):
        with suppress(nvml.NVMLError):  # not told of every MIG instance
            facts[name] = ask(handle)
    return facts


def _compute() -> dict[str, Any]:
    """Multiply on the GPU that this process sees."""
    try:
        import torch
    except ImportError as error:
        return {"missing": str(error)}
    told: dict[str, Any] = {"version": str(torch.__version__), "cuda": torch.version.cuda}
    try:
        told["architectures"] = torch.cuda.get_arch_list()
        ones = torch.ones(_SIZE, _SIZE, device="cuda:0")
        total = float((ones @ ones).sum().item())
        if total != _SIZE**3:
            told["error"] = f"the sum of a product of ones is {total:g} instead of {_SIZE**3}"
    # Whatever it raises is what is to be told.
    except Exception as error:
        told["error"] = f"{type(error).__name__}: {error}"
    return told


def _print(part: str, told: dict[str, Any]) -> None:
    print(json.dumps({part: told}), flush=True)  # noqa: T201 - this is the program's answer


if __name__ == "__main__":
    main(sys.argv[1:])
