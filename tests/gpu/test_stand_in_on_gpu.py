"""The stand-in for Ollama on a real GPU: what it passes elsewhere, and the driver sees its memory come and go."""

from collections.abc import Iterator

import pytest

from gpu_check.driver import came_back_mb, settled_mb
from gpu_check.lab import OTHER, SMALL, Lab
from gpu_check.limits import LOST_MB
from singletrack_ops.stand_in.server import StandInOllama
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.ollama.manager import OllamaManager, OllamaTimeouts
from singletrack_worker.gpu.tenants import Vlm
from tests.unit.gpu.vlm_conformance import PATIENCE_S, VlmConformance

pytestmark = pytest.mark.gpu


@pytest.fixture
def server(lab: Lab) -> Iterator[StandInOllama]:
    with lab.server() as running:
        yield running


@pytest.fixture
def vlm(server: StandInOllama) -> Iterator[OllamaManager]:
    timeouts = OllamaTimeouts(load_s=PATIENCE_S, answer_s=PATIENCE_S, unload_s=PATIENCE_S)
    it = OllamaManager(server.url, SMALL, clock=SystemClock(), keep_alive_s=600, timeouts=timeouts)
    yield it
    it.close()


class TestConformance(VlmConformance):
    @pytest.fixture(autouse=True)
    def _server(self, server: StandInOllama) -> None:
        self.server = server

    def load_other(self, vlm: Vlm) -> str:
        self.server.models.load(OTHER, 60.0)
        return OTHER


def test_the_driver_sees_a_model_come_and_go(lab: Lab, vlm: OllamaManager) -> None:
    empty_mb = settled_mb(lab.driver)
    vlm.load()
    assert settled_mb(lab.driver) - empty_mb >= lab.sizes.small_mb
    vlm.unload()
    _, back_s = came_back_mb(lab.driver, empty_mb, within_mb=LOST_MB)
    assert back_s is not None
