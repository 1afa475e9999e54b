"""The fakes pass the tests of the parts that they stand in for."""

import pytest

from singletrack_worker.gpu.tenants import Vlm
from singletrack_worker.gpu.vram.simulated import SimulatedGpu
from tests.fakes import FakeClip, FakeClock, FakeVlm
from tests.unit.gpu.clip.clip_conformance import ClipConformance
from tests.unit.gpu.vlm_conformance import VlmConformance


class TestFakeVlm(VlmConformance):
    @pytest.fixture
    def vlm(self) -> FakeVlm:
        return FakeVlm(SimulatedGpu(8192), FakeClock())

    def load_other(self, vlm: Vlm) -> str:
        assert isinstance(vlm, FakeVlm)
        vlm.guest_comes("their:1b")
        return "their:1b"


class TestFakeClip(ClipConformance):
    @pytest.fixture
    def clip(self) -> FakeClip:
        clip = FakeClip(SimulatedGpu(8192), FakeClock())
        clip.start()
        return clip
