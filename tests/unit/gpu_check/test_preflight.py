"""A GPU that the check cannot use is told from one that it can, with advice."""

import sys
from types import SimpleNamespace

import pytest

from gpu_check import preflight
from gpu_check.limits import LEAST_FREE_MB
from gpu_check.preflight import NoUsableGpu, usable_gpu

MIB = 1024 * 1024
TOTAL = 8192 * MIB


class NVMLError(Exception):
    """The driver refuses."""


def driver(*, free_mb: int = 8000, compute_mode: int = 0) -> SimpleNamespace:
    """As much of pynvml as the check asks before it begins; there is one GPU."""

    def find(index: int) -> int:
        if index:
            raise NVMLError("Invalid Argument")
        return 5

    return SimpleNamespace(
        NVMLError=NVMLError,
        NVML_COMPUTEMODE_DEFAULT=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=find,
        nvmlDeviceGetName=lambda handle: "A GPU",
        nvmlDeviceGetComputeMode=lambda handle: compute_mode,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=TOTAL, free=free_mb * MIB),
    )


@pytest.fixture
def torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_ASK_TORCH", "print('2.6 True')")


def use(monkeypatch: pytest.MonkeyPatch, nvml: SimpleNamespace | None) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)


@pytest.mark.usefixtures("torch_says")
def test_a_gpu_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, driver())
    found = usable_gpu(0)
    assert (found.name, found.free_mb(), found.used_mb()) == ("A GPU", 8000, 192)


@pytest.mark.usefixtures("torch_says")
@pytest.mark.parametrize(
    ("nvml", "index", "advice"),
    [
        (None, 0, "nvidia-ml-py is not installed"),
        (driver(), 1, "where `nvidia-smi` works"),
        (driver(compute_mode=3), 0, "nvidia-smi -i 0 -c DEFAULT"),
        (driver(free_mb=LEAST_FREE_MB - 1), 0, "end what `nvidia-smi` shows"),
    ],
)
def test_a_gpu_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, nvml: SimpleNamespace | None, index: int, advice: str
) -> None:
    use(monkeypatch, nvml)
    with pytest.raises(NoUsableGpu, match=advice):
        usable_gpu(index)


@pytest.mark.parametrize("says", ["print('2.6+cpu False')", "raise ImportError('no torch')"])
def test_a_torch_without_cuda(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    use(monkeypatch, driver())
    monkeypatch.setattr(preflight, "_ASK_TORCH", says)
    with pytest.raises(NoUsableGpu, match="install a torch with CUDA"):
        usable_gpu(0)
