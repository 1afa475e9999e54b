"""What a worker tells Flower of its GPU."""

from types import SimpleNamespace
from typing import Any

import pytest

from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import (
    ClipStatus,
    Drift,
    ExecutionMode,
    GpuInfo,
    GPUResourceStatus,
    LastError,
    LeaseInfo,
    ModelState,
    OperationInFlight,
    VlmStatus,
    VRAMInfo,
    WorkerInfo,
)
from singletrack_worker.sight import flower_stats
from singletrack_worker.sight.flower_stats import reserved, stats

CELERYS: dict[str, Any] = {"pool": {"threads": 1}, "uptime": 3, "pid": 7}
FULL = GPUResourceStatus(
    track="gpu0",
    taken_unix_s=100,
    worker=WorkerInfo(host="host", pid=7, release="1.2", started_unix_s=0),
    lease=LeaseInfo(token=41, since_unix_s=0),
    mode=ExecutionMode.RECORDING,
    gpu=GpuInfo(name="RTX", uuid="GPU-1"),
    vram=VRAMInfo(total_mb=8192, used_mb=7000, free_mb=1192),
    vlm=VlmStatus(model="qwen2.5vl:7b", state=ModelState.LOADED, vram_mb=6600),
    clip=ClipStatus(device="cuda:0", cpu_pid=11, gpu_pid=12),
    degraded=True,
    reasons=(Degradation(code=DegradedCode.VLM_VRAM_SHORT, message="it took less", since_unix_s=0),),
    operation=OperationInFlight(job_id="job-1", kind="ask", since_unix_s=95, stage="generate"),
    drift=(Drift(what="foreign_model", name="llama", since_unix_s=0),),
    last_error=LastError(at_unix_s=0, job_id=None, kind="ask", error="OllamaFailure", message="a long story"),
)
BARE = FULL.model_copy(
    update={
        "lease": None,
        "gpu": None,
        "vram": None,
        "vlm": VlmStatus(model="m", state=ModelState.UNAVAILABLE),
        "clip": ClipStatus(),
        "degraded": False,
        "reasons": (),
        "operation": None,
        "drift": (),
        "last_error": None,
    }
)


@pytest.fixture(autouse=True)
def _celery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flower_stats, "_CELERYS_STATS", lambda state: CELERYS)


def state(gpu_worker: Any) -> Any:
    """What Celery hands to a remote control command."""
    return SimpleNamespace(consumer=SimpleNamespace(controller=SimpleNamespace(gpu_worker=gpu_worker)))


def of(status: GPUResourceStatus) -> dict[str, Any]:
    manager = SimpleNamespace(glance=lambda: status)
    return stats(state(SimpleNamespace(manager=manager)))


def test_the_first_tab_tells_the_state_in_short_strings() -> None:
    assert of(FULL)["pool"] == {
        "threads": 1,
        "gpu-mode": "RECORDING",
        "gpu-vlm": "loaded, 6600 MB",
        "gpu-clip": "cuda:0",
        "gpu-vram": "7000 of 8192 MB",
        "gpu-degraded": "vlm_vram_short",
        "gpu-operation": "ask, generate, for 5.0 s",
        "gpu-token": "41",
    }


def test_the_other_tab_tells_figures_and_names() -> None:
    told = of(FULL)
    assert {name: value for name, value in told.items() if name.startswith("gpu_")} == {
        "gpu_name": "RTX",
        "gpu_mode": "RECORDING",
        "gpu_vlm": "loaded",
        "gpu_vlm_model": "qwen2.5vl:7b",
        "gpu_vlm_vram_mb": "6600",
        "gpu_clip_device": "cuda:0",
        "gpu_clip_cpu_pid": "11",
        "gpu_clip_gpu_pid": "12",
        "gpu_vram_used_mb": "7000",
        "gpu_vram_total_mb": "8192",
        "gpu_degraded_reason": "it took less",
        "gpu_drift": "foreign_model llama",
        "gpu_operation": "ask, generate, for 5.0 s",
        "gpu_job": "job-1",
        "gpu_last_error": "OllamaFailure in ask",
        "gpu_lease_token": "41",
        "gpu_track": "gpu0",
        "gpu_worker_release": "1.2",
    }
    assert told["uptime"] == CELERYS["uptime"]


def test_what_is_not_there_is_told_too() -> None:
    told = of(BARE)
    assert told["pool"]["gpu-vram"] == "no GPU"
    assert told["pool"]["gpu-vlm"] == "unavailable"
    assert {told["gpu_vram_used_mb"], told["gpu_operation"], told["gpu_lease_token"], told["gpu_job"]} == {"none"}


def test_a_gpu_that_is_simulated_says_so_once() -> None:
    for name, shown in (("RTX", "RTX, simulated"), ("simulated 8 GiB GPU", "simulated 8 GiB GPU")):
        simulated = FULL.model_copy(update={"gpu": GpuInfo(name=name, uuid="u", simulated=True)})
        assert of(simulated)["gpu_name"] == shown


def test_before_there_is_a_manager_celerys_figures_come() -> None:
    assert stats(state(None)) == CELERYS | {"gpu": "the worker is starting or ending"}


def test_a_defect_leaves_celerys_figures(caplog: pytest.LogCaptureFixture) -> None:
    told = stats(state(SimpleNamespace(manager=None)))
    assert told == CELERYS | {"gpu": "unknown: see the worker's log"}
    assert "cannot report the GPU's figures" in caplog.text


def test_celerys_own_figures_are_left_as_they_are() -> None:
    of(FULL)
    assert CELERYS["pool"] == {"threads": 1}


def test_jobs_that_wait_in_hand_are_told_by_their_summaries() -> None:
    asked: list[bool] = []

    class Request:
        def info(self, *, safe: bool = False) -> dict[str, Any]:
            asked.append(safe)
            return {"id": "job-1"}

    waiting, begun = Request(), Request()
    sets = iter([{waiting, begun}, {begun}])
    assert reserved(SimpleNamespace(tset=lambda _: next(sets))) == [{"id": "job-1"}]
    assert asked == [True]
