"""A driver in the place of one that this machine may not have."""

import sys

import pytest

from tests.fakes.nvml import FakeCard, FakeNvml

FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """A driver with two GPUs of 8 GiB."""
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    nvml = FakeNvml(FakeCard(uuid=FIRST), FakeCard(uuid=SECOND))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml
