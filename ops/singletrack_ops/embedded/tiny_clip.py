"""A tiny untrained CLIP for tests and the demo: `python -m singletrack_ops.embedded.tiny_clip FOLDER`.

It has the architecture, the image size and the tokenizer of a real one, but random weights from a fixed seed: its
embeddings mean nothing. The folder is in open_clip's `local-dir` format, marked as untrained.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from singletrack_ops.errors import OpsError

VERSION = 1
# How SINGLETRACK_CLIP_WEIGHTS names a folder.
LOCAL_DIR = "local-dir:"
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 128,
        "vision_cfg": {"image_size": 224, "layers": 2, "width": 128, "patch_size": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
    },
    "singletrack": {"trained": False, "tiny_clip_version": VERSION},
}

_SEED = 11
_ERROR_TAIL_CHARS = 2000
_Array = npt.NDArray[np.float16]


def write_tiny_clip(folder: Path) -> Path:
    """Write the model unless it is there, each file whole or not at all; returns `folder`.

    Raises `OpsError` if torch or open_clip is missing.
    """
    if is_complete(folder):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(_SEED)
    weights = {name: _values(name, shape, numbers) for name, shape in sorted(_shapes().items())}
    _replace(folder / WEIGHTS_FILE, _packed(weights))
    # Last: it marks the folder as complete.
    _replace(folder / CONFIG_FILE, _config_text().encode())
    return folder


def ensure_tiny_clip(folder: Path, say: Callable[[str], None]) -> str:
    """Write the model unless it is there, and return its name for SINGLETRACK_CLIP_WEIGHTS; raises `OpsError`.

    In a process of its own: writing it imports torch.
    """
    if not is_complete(folder):
        say("making the tiny CLIP")
        command = [sys.executable, "-P", "-m", "singletrack_ops.embedded.tiny_clip", str(folder)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise OpsError(f"The tiny CLIP could not be made in {folder}: {made.stderr.strip()[-_ERROR_TAIL_CHARS:]}")
    return f"{LOCAL_DIR}{folder}"


def is_complete(folder: Path) -> bool:
    """Whether `folder` holds this version of the model; imports nothing heavy."""
    config = folder / CONFIG_FILE
    if not (config.is_file() and (folder / WEIGHTS_FILE).is_file()):
        return False
    return config.read_text(encoding="utf-8") == _config_text()


def _config_text() -> str:
    return json.dumps(CONFIG, indent=2) + "\n"


def _shapes() -> dict[str, tuple[int, ...]]:
    try:
        import open_clip
        import torch
    except ImportError as error:
        raise OpsError("The tiny CLIP needs torch and open_clip: run `pip install singletrack[worker]`.") from error
    with torch.device("meta"):
        model = open_clip.CLIP(**CONFIG["model_cfg"])
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _values(name: str, shape: tuple[int, ...], numbers: np.random.Generator) -> _Array:
    """Random numbers whose spread keeps activations near 1: fp16 can hold them, and inputs stay distinguishable."""
    if name == "logit_scale":
        return np.array(math.log(1 / 0.07), dtype=np.float16)
    if "ln_" in name or name.endswith("bias"):
        offset = 1.0 if name.endswith("weight") else 0.0
        return (offset + numbers.normal(0, 0.02, shape)).astype(np.float16)
    return numbers.normal(0, _spread(name, shape), shape).astype(np.float16)


def _spread(name: str, shape: tuple[int, ...]) -> float:
    if "embedding" in name:
        return 1.0 if name == "token_embedding.weight" else 0.2
    # The two projections are multiplied from the right: their rows are their inputs.
    inputs = shape[0] if name in ("visual.proj", "text_projection") else math.prod(shape[1:])
    return 1 / math.sqrt(inputs)


def _packed(weights: dict[str, _Array]) -> bytes:
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(value) for name, value in weights.items()}, {"format": "pt"})


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)


def main() -> int:
    """Write the model into the folder given on the command line."""
    parser = argparse.ArgumentParser(description="Write a tiny untrained CLIP in open_clip's local-dir format.")
    parser.add_argument("folder", type=Path)
    folder = write_tiny_clip(parser.parse_args().folder)
    sys.stdout.write(f"{LOCAL_DIR}{folder.resolve()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
