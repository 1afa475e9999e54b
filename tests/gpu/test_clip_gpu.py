"""CLIP on a real GPU does what every CLIP does."""

from collections.abc import Iterator

import pytest

from gpu_check.lab import Lab
from singletrack_worker.assembly import build_tenants
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.tenants import Clip
from tests.unit.gpu.clip.clip_conformance import ClipConformance

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", params=["tiny", "ViT-B-32"])
def real_clip(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Clip]:
    config = lab.config({}, tiny=request.param == "tiny")
    vram = lab.vram(config)
    clip = build_tenants(config, SystemClock(), vram).clip
    clip.start()
    yield clip
    clip.stop()
    vram.close()


class TestRealGpu(ClipConformance):
    @pytest.fixture
    def clip(self, real_clip: Clip) -> Clip:
        return real_clip
