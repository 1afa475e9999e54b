"""What `singletrack doctor` finds of the GPU: a process computes on it, and driver, torch and GPU are compared."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from singletrack.cli.findings import Finding, Verdict, installed
from singletrack.cli.output import megabytes
from singletrack_tasks.status import GPUResourceStatus

# In a process of its own: a driver that hangs must not hang the doctor, and torch stays out of it.
# -P keeps the current folder off the import path: a `torch.py` that lies there must not be taken for torch.
PROOF = (sys.executable, "-P", "-m", "singletrack_worker.gpu.vram.proof")
# Importing torch from a cold disk takes most of it.
PROOF_TIMEOUT_S = 120.0
_SMI_TIMEOUT_S = 10.0
_TAIL_CHARS = 300

# The first driver that runs what was built for a major version of CUDA.
_DRIVER_FOR_CUDA = {11: 450, 12: 525, 13: 580}
_OLDER_TORCH = "pip install torch torchvision --index-url https://download.pytorch.org/whl/cu126"
_ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")
_COMPUTE_MODES = {1: "EXCLUSIVE_THREAD", 2: "PROHIBITED", 3: "EXCLUSIVE_PROCESS"}
# What torch says, in lower case, and what to do about it.
_ADVICE = (
    (("out of memory",), "Nothing is wrong if a model has the memory: `singletrack status` shows it. Ask again later."),
    (
        ("no cuda gpus are available", "no cuda-capable device", "cuda unknown error", "found no nvidia driver"),
        (
            "The driver lists the GPU, but a new process cannot open it. A container loses its devices when systemd is "
            "reloaded on the host: restart the container. Elsewhere reload the nvidia-uvm module, or reboot."
        ),
    ),
    (("busy or unavailable",), "Another process has the GPU for itself: see `nvidia-smi`, and its compute mode."),
    (("driver version is insufficient", "driver on your system is too old"), "Update the NVIDIA driver."),
    (("no kernel image",), f"Install a torch that was built for this GPU, for an older one: `{_OLDER_TORCH}`."),
)


@dataclass(frozen=True)
class _Proof:
    """What the program told of the driver and of torch, empty if nothing, and how it ended if not well."""

    driver: dict[str, Any] = field(default_factory=dict)
    torch: dict[str, Any] = field(default_factory=dict)
    failure: str = ""


def check_gpu(gpu: str, wanted: str | None) -> list[Finding]:
    """Check the GPU of this host; `gpu` and `wanted` are the settings SINGLETRACK_GPU and SINGLETRACK_GPU_INDEX."""
    if gpu != "auto":
        return [Finding("GPU", "ok", f"{gpu}, as set by SINGLETRACK_GPU; the driver was not checked")]
    proof = _prove(wanted)
    if "gpu" not in proof.driver:
        return [_without_gpu(proof)]
    return [*_of_driver(proof.driver), *_of_torch(proof)]


def describe_remote(status: GPUResourceStatus) -> Finding:
    """Say what the worker on another machine has."""
    host, gpu, vram = status.worker.host, status.gpu, status.vram
    tenants = f"CLIP is on {status.clip.device}, the VLM is {status.vlm.state}"
    if gpu is None:
        return Finding("GPU", "note", f"{host} has none; {tenants}")
    used = "" if vram is None else f" with {vram.used_mb:,} of {megabytes(vram.total_mb)} in use"
    return Finding("GPU", "ok", f"{host} has {gpu.name}{used}; {tenants}")


def _prove(wanted: str | None) -> _Proof:
    command = [*PROOF, *([] if wanted is None else [wanted])]
    failure = ""
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROOF_TIMEOUT_S, check=False)
        output = done.stdout
        if done.returncode:
            tail = done.stderr.decode(errors="replace").strip()[-_TAIL_CHARS:]
            failure = f"ended with exit status {done.returncode}: {tail}"
    except subprocess.TimeoutExpired as error:
        output, failure = error.stdout or b"", f"did not answer within {PROOF_TIMEOUT_S:g} s and was ended"
    told = _read(output.splitlines())
    return _Proof(told.get("driver", {}), told.get("torch", {}), failure)


def _read(lines: Iterable[bytes]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for line in lines:
        try:
            part = json.loads(line)
        except ValueError:
            continue  # what a library printed
        told |= part if isinstance(part, dict) else {}
    return told


def _without_gpu(proof: _Proof) -> Finding:
    told = proof.driver
    if not told:
        advice = "See `nvidia-smi` and the kernel log: a driver that hangs needs a reboot of the host."
        return Finding("GPU", "problem", f"the process that asks the driver {proof.failure or 'told nothing'}", advice)
    if told["kind"] in ("settings", "no_answer"):
        advice = "`nvidia-smi -L` lists numbers and UUIDs." if told["kind"] == "settings" else ""
        return Finding("GPU", "problem", told["error"], advice)
    if told["kind"] == "no_gpu":
        return Finding("GPU", "note", f"{told['error']}, driver {told['version']}", "Everything runs on the CPU.")
    return _without_driver(told["error"])


def _without_driver(error: str) -> Finding:
    bindings = installed("nvidia-ml-py") is not None
    if (smi := shutil.which("nvidia-smi")) and (names := _ask_smi(smi)):
        advice = "Install NVML's bindings: `pip install nvidia-ml-py` (part of singletrack[worker])."
        if bindings:
            advice = "NVML's bindings are installed, but cannot load the driver's library libnvidia-ml."
        return Finding("GPU", "problem", f"nvidia-smi finds {len(names.splitlines())} GPU, but NVML is missing", advice)
    also = "" if bindings else " and `pip install 'singletrack[worker]'`"
    return Finding("GPU", "note", error, f"Everything runs on the CPU. If there is a GPU, install its driver{also}.")


def _ask_smi(smi: str) -> str | None:
    try:
        done = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=_SMI_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _of_driver(driver: dict[str, Any]) -> Iterator[Finding]:
    """Say which GPU it is, and what keeps two processes from sharing it."""
    gpu = driver["gpu"]
    which = f"{gpu['name']} ({gpu['uuid']}), number {gpu['index']} of {driver['gpus']}, driver {driver['version']}"
    if untold := driver.get("memory_untold"):
        yield Finding("GPU", "problem", f"{which}: {untold}", "Without its memory nothing is moved onto the GPU.")
    elif driver["unified_memory"]:
        note = "it shares the system's memory, so all figures are the system's"
        yield Finding("GPU", "note", f"{which}, {driver['total_mb']:,} MB: {note}")
    else:
        yield Finding("GPU", "ok", f"{which}, {driver['total_mb']:,} MB")
    if mode := _COMPUTE_MODES.get(driver.get("compute_mode", 0)):
        text = f"its compute mode is {mode}: Ollama and CLIP cannot be on it together, and one goes to the CPU unsaid"
        yield Finding("compute mode", "problem", text, f"As root: `nvidia-smi -i {gpu['uuid']} -c DEFAULT`.")


def _of_torch(proof: _Proof) -> list[Finding]:
    driver, torch = proof.driver, proof.torch
    if not torch:
        advice = "See `nvidia-smi` and the kernel log: CLIP would fail like it."
        return [Finding("CUDA", "problem", f"the process that computes on the GPU {proof.failure}", advice)]
    if "missing" in torch:
        return []  # the check of the packages says it
    problem = _mismatch(driver, torch)
    if problem is not None:
        return [problem]
    build = f"torch {torch['version']} for CUDA {torch['cuda']}"
    if "error" not in torch:
        return [Finding("CUDA", "ok", f"{build} computes on it")]
    error = " ".join(torch["error"].split())[:_TAIL_CHARS]
    advice = next((told for words, told in _ADVICE if any(word in error.lower() for word in words)), "")
    verdict: Verdict = "note" if "out of memory" in error.lower() else "problem"
    return [Finding("CUDA", verdict, f"{build} does not compute on it: {error}", advice)]


def _mismatch(driver: dict[str, Any], torch: dict[str, Any]) -> Finding | None:
    """Say why this torch can never use this GPU, None if nothing speaks against it."""
    version, cuda = torch["version"], torch["cuda"]
    if cuda is None:
        text = f"torch {version} was built without CUDA: CLIP stays on the CPU"
        return Finding("CUDA", "problem", text, "Install torch's build for CUDA: see pytorch.org/get-started.")
    major = int(str(cuda).partition(".")[0])
    if driver.get("cuda") is not None and driver["cuda"] < major:
        text = f"torch {version} needs a driver for CUDA {major}, and {driver['version']} is one for {driver['cuda']}"
        needed = _DRIVER_FOR_CUDA.get(major)
        newer = f"Install driver {needed} or newer" if needed else "Update the driver"
        advice = f"{newer}, or an older torch: `{_OLDER_TORCH}`."
        return Finding("CUDA", "problem", f"{text}: CLIP stays on the CPU", advice)
    capability, built = driver.get("capability"), torch.get("architectures") or []
    if capability is not None and built and not _runs_on(capability, built):
        text = f"torch {version} was built for {', '.join(built)}, and this GPU is sm_{capability[0]}{capability[1]}"
        advice = f"For an older GPU: `{_OLDER_TORCH}`. For a newer one, install a newer torch."
        return Finding("CUDA", "problem", f"{text}: CLIP stays on the CPU", advice)
    return None


def _runs_on(capability: Sequence[int], built: Iterable[str]) -> bool:
    """Whether a GPU of this compute capability runs code for one of these architectures."""
    major, minor = capability
    for found in filter(None, (_ARCHITECTURE.fullmatch(name) for name in built)):
        kind, of_major, of_minor, suffix = found[1], int(found[2]), int(found[3]), found[4]
        if suffix == "a" or kind == "sm":
            # Machine code runs on later GPUs of its generation, `a` on no other than its own.
            if of_major == major and (of_minor == minor if suffix == "a" else of_minor <= minor):
                return True
        elif (of_major, of_minor) <= (major, minor):
            return True
    return False
