"""Whether there is a GPU that the check can use; if not, one line says what to do."""

import subprocess
import sys

from gpu_check.driver import NvmlDriver
from gpu_check.limits import LEAST_FREE_MB
from singletrack_ops.errors import OpsError

_ASK_TORCH = "import torch; print(torch.__version__, torch.cuda.is_available())"
_LIMIT_S = 120.0


class NoUsableGpu(OpsError):
    """There is no GPU that could be checked."""


def usable_gpu(index: int) -> NvmlDriver:
    """Return the driver of a usable GPU; raises `NoUsableGpu` with advice in one line."""
    try:
        driver = NvmlDriver(index)
    except OpsError as error:
        raise NoUsableGpu(error.message) from error
    mode = driver.nvml.nvmlDeviceGetComputeMode(driver.handle)
    if mode != driver.nvml.NVML_COMPUTEMODE_DEFAULT:
        raise NoUsableGpu(f"GPU {index} lets only one process at a time in: run `nvidia-smi -i {index} -c DEFAULT`")
    if driver.free_mb() < LEAST_FREE_MB:
        raise NoUsableGpu(
            f"only {driver.free_mb()} MB of GPU {index} are free, and at least {LEAST_FREE_MB} are needed: end what "
            "`nvidia-smi` shows"
        )
    _require_torch()
    return driver


def _require_torch() -> None:
    """Ask in a process of its own, so that this one stays without CUDA."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if not asked.stdout.strip().endswith("True"):
        said = asked.stdout.strip() or (asked.stderr.strip().splitlines() or ["nothing"])[-1]
        raise NoUsableGpu(f"torch cannot use the GPU (it says: {said}): install a torch with CUDA from pytorch.org")
