"""What a promotion is made of, and CLIP's throughput beside that of stock open_clip, in one fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpu_check.lab import Lab
from gpu_check.limits import BATCH, is_fast_enough
from gpu_check.report import Findings

_PROGRAM = Path(__file__).parents[1] / "programs" / "measure_clip.py"
_BATCHES, _FAST_BATCHES = (1, 8, 32, 64), (1, BATCH)
_LIMIT_S = 600.0
_ERROR_CHARS = 1500
_LAPS = ("import_torch", "import_open_clip", "load_on_host", "to_device", "first_canaries", "second_canaries")


def run(lab: Lab, found: Findings) -> None:
    """Measure, and compare."""
    told = _measure(lab)
    for lap in _LAPS:
        found.tell(f"{lap}: s, VRAM in MB so far", f"{told[f'{lap}_s']} / {told[f'{lap}_mb']}")
    alone = told["cuda_initialized_by_imports"] is False
    found.expect("imports leave CUDA alone", alone, alone)
    for count in told["batches"]:
        _compare(lab, found, count, told)
    for name in ("torch", "torch_reserved_mb", "device_name", "arch_list"):
        if name in told:
            found.tell(name, told[name])


def _compare(lab: Lab, found: Findings, count: int, told: dict[str, Any]) -> None:
    ours_ms, stock_ms = told[f"ours_{count}_ms"], told[f"stock_{count}_ms"]
    name = f"batch of {count}: ours / stock, images a second"
    value = f"{1000 * count / ours_ms:.0f} / {1000 * count / stock_ms:.0f}"
    if count == BATCH and lab.is_real:
        found.expect(name, is_fast_enough(ours_ms, stock_ms), value)
    else:
        found.tell(name, value)
    if count == BATCH:
        found.figure("images_per_s", 1000 * count / ours_ms)
        found.figure("stock_images_per_s", 1000 * count / stock_ms)


def _measure(lab: Lab) -> dict[str, Any]:
    device = lab.clip_device if lab.is_real else "cpu"
    command = [sys.executable, "-P", str(_PROGRAM), lab.weights, device, str(lab.options.gpu_index)]
    command += [str(lab.times(1, 20)), *(str(size) for size in (_FAST_BATCHES if lab.options.fast else _BATCHES))]
    environ = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        command,
        env={**environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the measurement failed: {done.stderr[-_ERROR_CHARS:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
