"""The parts of a worker, put together as the configuration says; nothing is started."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.events import parse_event
from singletrack_tasks.result import DegradedCode
from singletrack_tasks.status import ModelState
from singletrack_worker.assembly import Worker, build_tenants, build_vram
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.gpu.clock import SystemClock
from singletrack_worker.gpu.ollama.manager import OllamaManager
from singletrack_worker.gpu.tenants import Tenants
from singletrack_worker.gpu.vram.simulated import SimulatedGpu, SimulatedVlm
from singletrack_worker.gpu.vram.vram_monitor import NoGpu, VRAMMonitor
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.sight.telemetry import Fanout
from singletrack_worker.store.writer import FencedWriter
from tests.addresses import SILENT_OLLAMA
from tests.unit.worker.track import KEYS, TOKEN


def configured(config: GPUResourceConfig, **settings: Any) -> GPUResourceConfig:
    return GPUResourceConfig.model_validate(config.model_dump() | {"ollama_url": SILENT_OLLAMA} | settings)


@pytest.fixture
def closing() -> Iterator[list[Tenants]]:
    made: list[Tenants] = []
    yield made
    for tenants in made:
        tenants.vlm.close()
        tenants.vram.close()
        tenants.clip.stop()


def build(config: GPUResourceConfig, closing: list[Tenants], **settings: Any) -> Tenants:
    wanted = configured(config, **settings)
    closing.append(build_tenants(wanted, SystemClock(), build_vram(wanted)))
    return closing[-1]


def test_no_gpu_is_no_gpu_whatever_is_there(config: GPUResourceConfig, closing: list[Tenants]) -> None:
    tenants = build(config, closing, gpu="none")
    assert isinstance(tenants.vram, NoGpu)
    assert isinstance(tenants.vlm, OllamaManager)
    assert tenants.clip.device == "cpu"


def test_a_gpu_is_looked_for(config: GPUResourceConfig, closing: list[Tenants]) -> None:
    tenants = build(config, closing, gpu="auto")
    assert isinstance(tenants.vram, VRAMMonitor)
    assert (tenants.vram.gpu is None) == bool(tenants.vram.reason)


def test_a_simulated_gpu_counts_its_tenants(config: GPUResourceConfig, closing: list[Tenants]) -> None:
    tenants = build(config, closing, gpu="simulated", simulated_total_mb=10_000)
    assert isinstance(tenants.vram, SimulatedGpu)
    assert isinstance(tenants.vlm, SimulatedVlm)
    vram = tenants.vram.read()
    assert vram is not None
    assert (vram.total_mb, vram.used_mb) == (10_000, 300)


def test_weights_that_are_no_name_of_weights_are_refused(config: GPUResourceConfig) -> None:
    with pytest.raises(InvalidConfiguration, match="ARCHITECTURE/TAG"):
        build_tenants(configured(config, clip_weights="nonsense"), SystemClock(), NoGpu("none is needed"))


def test_a_worker_publishes_from_its_first_moment_to_its_last(
    config: GPUResourceConfig, connection: redis.Redis, server: EmbeddedRedis
) -> None:
    wanted = configured(config, clip_weights="local-dir:/no/such/folder", retry_pause_s=0)
    connection.set(KEYS.fence, TOKEN)
    writer = FencedWriter(connection, wanted.keys, Scripts(connection), lambda: TOKEN)
    worker = Worker(wanted, connection, build_vram(wanted), writer, telemetry=Fanout(()))
    worker.start()
    try:
        status = worker.manager.status()
        assert connection.exists(KEYS.status)
        assert status.track == "unit"
        assert status.vlm.state in (ModelState.UNKNOWN, ModelState.UNAVAILABLE)
        assert DegradedCode.NO_GPU in {reason.code for reason in status.reasons}
    finally:
        worker.stop()
    entries: Any = connection.xrange(KEYS.events)
    kinds = [parse_event(fields[b"event"]).kind for _, fields in entries]
    assert "worker_started" in kinds
    assert kinds[-1] == "worker_stopped"
