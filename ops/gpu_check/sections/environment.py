"""What the check ran on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from gpu_check.lab import Lab
from gpu_check.report import Findings

_PACKAGES = ("torch", "open_clip_torch", "nvidia-ml-py", "celery", "redis", "numpy", "singletrack")


def run(lab: Lab, found: Findings) -> None:
    """Tell the versions of everything that may matter."""
    found.tell("GPU", lab.driver.name)
    found.tell("memory free at the start, MB", lab.driver.free_mb())
    found.tell("Python", platform.python_version())
    found.tell("kernel", platform.release())
    found.tell("CPUs", os.cpu_count())
    found.tell("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
    for package in _PACKAGES:
        found.tell(package, _version(package))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
