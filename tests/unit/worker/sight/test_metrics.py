"""The metrics as Prometheus reads them: what happens is counted, what is the case is told."""

import subprocess
import sys
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from singletrack_tasks.errors import JobCancelled, ModelMissing, SingletrackError
from singletrack_tasks.queue_survey import Survey
from singletrack_tasks.result import Degradation, DegradedCode, StepReceipt
from singletrack_tasks.status import (
    ClipModel,
    ClipStatus,
    Drift,
    ExecutionMode,
    GpuInfo,
    GPUResourceStatus,
    LeaseInfo,
    ModelState,
    OperationInFlight,
    VlmStatus,
    VRAMInfo,
    WorkerInfo,
)
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.ports import EndedOperation, Ending
from singletrack_worker.sight.backlog import Backlog
from singletrack_worker.sight.metrics import OPERATIONS, OUTCOMES, SECONDS, Gauges, Metrics
from tests.unit.worker.sight.exposition import Exposition

TRACK = "gpu0"
MIB = 1024 * 1024
ASKED = EndedOperation(
    kind="ask", job_id="1", outcome="ok", error=None, waited_s=0.3, duration_s=2.0, work_s=2.0, moves=0, retries=0
)
LOAD = StepReceipt(step="load_vlm", ok=True, vram_before_mb=300, vram_after_mb=7300, duration_s=4.0)
STATUS = GPUResourceStatus(
    track=TRACK,
    taken_unix_s=1000.0,
    worker=WorkerInfo(host="here", pid=7, release="1.2", started_unix_s=900.0),
    lease=LeaseInfo(token=41, since_unix_s=900.0),
    mode=ExecutionMode.RECORDING,
    gpu=GpuInfo(name="a GPU", uuid="GPU-1"),
    vram=VRAMInfo(total_mb=8192, used_mb=7500, free_mb=692),
    vlm=VlmStatus(model="vlm:7b", state=ModelState.LOADED, size_mb=6000, vram_mb=6000, footprint_mb=6500),
    clip=ClipStatus(
        model=ClipModel(name="ViT", fingerprint="f", dimension=4, image_size=8, context_length=8),
        device="cuda:0",
        footprint_mb=1100,
    ),
    degraded=True,
    reasons=(Degradation(code=DegradedCode.VLM_VRAM_SHORT, message="short", since_unix_s=950.0),),
    operation=OperationInFlight(job_id="1", kind="ask", since_unix_s=970.0),
    drift=(Drift(what="foreign_model", name="other:1b", vram_mb=200, since_unix_s=960.0),),
)
BACKLOG = Backlog(
    now_unix_s=1000.0,
    survey=Survey.read([2, 2, 0, [b"gpu.vlm.ask", b"", b"990.0", b"gpu.ping", b"", b"995.0"]]),
    dead_letters=3,
    snapshot_age_s=0.5,
)


def counted(*ended: EndedOperation) -> Exposition:
    metrics = Metrics(TRACK)
    for operation in ended:
        metrics.ended(operation)
    return Exposition.of(metrics.registry)


def moved(receipt: StepReceipt, error: SingletrackError | None = None) -> Exposition:
    metrics = Metrics(TRACK)
    metrics.moved(receipt, error)
    return Exposition.of(metrics.registry)


def told(status: GPUResourceStatus = STATUS, backlog: Backlog | None = BACKLOG) -> Exposition:
    registry = CollectorRegistry()
    registry.register(Gauges(lambda: (status, backlog)))
    return Exposition.of(registry)


@pytest.mark.parametrize("exposition", [counted(), told()], ids=["counted", "told"])
def test_every_family_is_prefixed_explained_and_in_base_units(exposition: Exposition) -> None:
    assert exposition.families
    for family in exposition.families:
        assert family.name.startswith("singletrack_")
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge", "histogram"}
        assert not family.name.endswith(("_mb", "_ms", "_created"))
        assert (family.type == "histogram") <= family.name.endswith("_seconds")
        for sample in family.samples:
            assert sample.labels["track"] == TRACK


def test_no_two_families_have_one_name() -> None:
    names = [family.name for exposition in (counted(), told()) for family in exposition.families]
    assert len(names) == len(set(names))


def test_series_of_what_may_happen_are_there_before_it_does() -> None:
    nothing = counted()
    for kind in OPERATIONS:
        for outcome in OUTCOMES:
            assert nothing.value("operations_total", TRACK, kind=kind, outcome=outcome) == 0
        assert nothing.value("operation_duration_seconds_count", TRACK, kind=kind) == 0
        assert nothing.value("operation_wait_seconds_count", TRACK, kind=kind) == 0
        assert nothing.value("transitions_total", TRACK, kind=kind) == 0
    for step in STEPS:
        for outcome in OUTCOMES:
            assert nothing.value("steps_total", TRACK, step=step, outcome=outcome) == 0
    assert (
        nothing.value("retries_total", TRACK, what="load_vlm") == nothing.value("retries_total", TRACK, what="ask") == 0
    )


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_operation_is_counted_by_how_it_ended(outcome: Ending) -> None:
    seen = counted(replace(ASKED, outcome=outcome), replace(ASKED, kind="ping"))
    others = set(OUTCOMES) - {outcome}
    assert seen.value("operations_total", TRACK, kind="ask", outcome=outcome) == 1
    assert [seen.value("operations_total", TRACK, kind="ask", outcome=other) for other in others] == [0, 0, 0]


def test_times_go_into_buckets_from_milliseconds_to_minutes() -> None:
    seen = counted(ASKED, replace(ASKED, duration_s=0.0004, waited_s=None), replace(ASKED, duration_s=900.0))
    assert (SECONDS[0], SECONDS[-1]) == (0.001, 600.0)
    buckets = {le: seen.value("operation_duration_seconds_bucket", TRACK, kind="ask", le=le) for le in ("0.001", "2.5")}
    assert buckets == {"0.001": 1, "2.5": 2}
    assert seen.value("operation_duration_seconds_bucket", TRACK, kind="ask", le="600.0") == 2
    assert seen.value("operation_duration_seconds_sum", TRACK, kind="ask") == pytest.approx(902.0004)
    assert seen.value("operation_wait_seconds_count", TRACK, kind="ask") == 2


def test_a_swap_is_avoided_by_an_operation_that_found_the_vlm_where_it_had_to_be() -> None:
    seen = counted(
        ASKED,
        replace(ASKED, kind="load_vlm"),
        replace(ASKED, moves=2),
        replace(ASKED, outcome="failed"),
        replace(ASKED, kind="embed_texts"),
    )
    assert seen.value("swaps_avoided_total", TRACK, kind="ask") == 1
    assert seen.value("swaps_avoided_total", TRACK, kind="load_vlm") == 1
    assert seen.value("transitions_total", TRACK, kind="ask") == 1


def test_retries_and_tokens_add_up() -> None:
    seen = counted(replace(ASKED, retries=2, answer_tokens=10), replace(ASKED, retries=1, answer_tokens=5), ASKED)
    assert seen.value("retries_total", TRACK, what="ask") == 3
    assert seen.value("answer_tokens_total", TRACK) == 15


def test_a_load_counts_as_a_step_and_as_a_load_of_its_tenant() -> None:
    seen = moved(LOAD.model_copy(update={"attempts": 3}))
    assert seen.value("steps_total", TRACK, step="load_vlm", outcome="ok") == 1
    assert seen.value("step_duration_seconds_sum", TRACK, step="load_vlm") == 4.0
    assert (seen.value("loads_total", TRACK, tenant="vlm"), seen.value("loads_total", TRACK, tenant="clip")) == (1, 0)
    assert seen.value("unloads_total", TRACK, tenant="vlm") == 0
    assert seen.value("retries_total", TRACK, what="load_vlm") == 2


@pytest.mark.parametrize(
    ("step", "family", "tenant"),
    [
        ("load_vlm", "loads_total", "vlm"),
        ("promote_clip", "loads_total", "clip"),
        ("unload_vlm", "unloads_total", "vlm"),
        ("demote_clip", "unloads_total", "clip"),
    ],
)
def test_each_step_is_a_load_or_an_unload(step: str, family: str, tenant: str) -> None:
    seen = moved(LOAD.model_copy(update={"step": step}))
    assert seen.value(family, TRACK, tenant=tenant) == 1
    totals = [
        seen.value(name, TRACK, tenant=whose) for name in ("loads_total", "unloads_total") for whose in ("vlm", "clip")
    ]
    assert sum(totals) == 1


@pytest.mark.parametrize(
    ("error", "outcome"), [(ModelMissing("not there"), "failed"), (JobCancelled("called off"), "cancelled")]
)
def test_a_step_that_failed_is_no_load(error: SingletrackError, outcome: str) -> None:
    seen = moved(LOAD.model_copy(update={"ok": False}), error)
    assert seen.value("steps_total", TRACK, step="load_vlm", outcome=outcome) == 1
    assert seen.value("loads_total", TRACK, tenant="vlm") == 0


def test_the_parts_of_the_vram_add_up_to_what_is_in_use() -> None:
    seen = told()
    parts = {tenant: seen.value("vram_tenant_bytes", TRACK, tenant=tenant) for tenant in ("vlm", "clip", "other")}
    assert parts == {"vlm": 6000 * MIB, "clip": 1100 * MIB, "other": 400 * MIB}
    assert sum(parts.values()) == seen.value("vram_used_bytes", TRACK)
    assert seen.value("vram_total_bytes", TRACK) == 8192 * MIB
    assert seen.value("footprint_bytes", TRACK, tenant="vlm") == 6500 * MIB


def test_tenants_never_have_more_than_is_in_use() -> None:
    tight = STATUS.model_copy(update={"vram": VRAMInfo(total_mb=8192, used_mb=6500, free_mb=1692)})
    seen = told(tight)
    assert seen.value("vram_tenant_bytes", TRACK, tenant="clip") == 500 * MIB
    assert seen.value("vram_tenant_bytes", TRACK, tenant="other") == 0


def test_clip_on_the_cpu_has_none_of_it() -> None:
    seen = told(STATUS.model_copy(update={"clip": STATUS.clip.model_copy(update={"device": "cpu"})}))
    assert seen.value("vram_tenant_bytes", TRACK, tenant="clip") == 0
    assert seen.value("clip_on_gpu", TRACK) == 0
    assert told().value("clip_on_gpu", TRACK) == 1


def test_states_are_ones_among_zeros() -> None:
    seen = told()
    assert seen.holding("mode", TRACK) == {"RECORDING"}
    assert seen.holding("vlm_state", TRACK) == {"loaded"}
    assert seen.holding("degraded", TRACK) == {"vlm_vram_short"}
    assert seen.holding("operation_in_flight", TRACK) == {"ask"}
    assert {seen.value("mode", TRACK, mode=mode) for mode in ("AUTOPILOT", "IDLE")} == {0}
    assert [seen.value("degraded", TRACK, reason=code) for code in DegradedCode].count(0) == len(DegradedCode) - 1


def test_a_quiet_worker_says_so() -> None:
    quiet = {"operation": None, "reasons": (), "degraded": False, "drift": ()}
    seen = told(STATUS.model_copy(update=quiet), replace(BACKLOG, survey=Survey.read([0, 0, 0, []])))
    assert seen.holding("degraded", TRACK) == seen.holding("operation_in_flight", TRACK) == set()
    assert seen.value("operation_in_flight_age_seconds", TRACK) == 0
    assert seen.value("queue_length", TRACK) == seen.value("queue_oldest_age_seconds", TRACK) == 0
    assert seen.value("drift", TRACK, what="foreign_model") == seen.value("drift", TRACK, what="foreign_vram") == 0


def test_who_and_what_it_is() -> None:
    seen = told()
    assert seen.value("worker_info", TRACK, host="here", pid="7", release="1.2") == 1
    assert seen.value("gpu_info", TRACK, name="a GPU", uuid="GPU-1", simulated="false") == 1
    assert seen.value("model_info", TRACK, tenant="vlm", model="vlm:7b") == 1
    assert seen.value("model_info", TRACK, tenant="clip", model="ViT") == 1
    assert (seen.value("lease_token", TRACK), seen.value("worker_start_time_seconds", TRACK)) == (41, 900)


def test_drift_is_counted_and_weighed() -> None:
    seen = told()
    assert seen.value("drift", TRACK, what="foreign_model") == 1
    assert seen.value("drift_vram_bytes", TRACK, what="foreign_model") == 200 * MIB


def test_the_queue_and_the_operation_have_ages() -> None:
    seen = told()
    assert seen.value("operation_in_flight_age_seconds", TRACK) == 30
    assert (seen.value("queue_length", TRACK), seen.value("queue_oldest_age_seconds", TRACK)) == (2, 10)
    assert (seen.value("dead_letters", TRACK), seen.value("snapshot_age_seconds", TRACK)) == (3, 0.5)
    assert not seen.has("queue_wait_seconds"), "nothing was measured yet"
    durations = {"ask": 50.0, "ping": 1.0}
    assert told(STATUS.model_copy(update={"durations_s": durations})).value("queue_wait_seconds", TRACK) == 20 + 50 + 1


def test_without_redis_only_what_it_knows_is_left_out() -> None:
    seen = told(backlog=None)
    assert seen.value("redis_reachable", TRACK) == 0
    for name in (
        "queue_length",
        "queue_oldest_age_seconds",
        "queue_wait_seconds",
        "dead_letters",
        "snapshot_age_seconds",
    ):
        assert not seen.has(name)
    assert seen.value("vram_used_bytes", TRACK) == 7500 * MIB
    assert told().value("redis_reachable", TRACK) == 1


def test_without_a_gpu_there_is_no_vram() -> None:
    seen = told(STATUS.model_copy(update={"gpu": None, "vram": None}))
    for name in ("vram_total_bytes", "vram_used_bytes", "vram_tenant_bytes", "gpu_info"):
        assert not seen.has(name)
    assert seen.holding("mode", TRACK) == {"RECORDING"}


def test_the_metrics_import_nothing_heavy() -> None:
    program = "import sys, prometheus_client; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
