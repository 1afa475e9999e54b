"""Every metric of a worker, with its unit and meaning, for Prometheus.

`Metrics` counts events as they happen; `Gauges` reads the state when somebody asks. Every series has the label `track`;
series of known label values exist, at zero, from the first scrape on.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from singletrack_tasks.errors import SingletrackError
from singletrack_tasks.requests.catalogue import REQUESTS
from singletrack_tasks.result import DegradedCode, StepReceipt
from singletrack_tasks.status import Drift, ExecutionMode, GPUResourceStatus, IntentEnd, ModelState, share_out
from singletrack_tasks.steps import STEPS
from singletrack_worker.gpu.known.journal import outcome_of
from singletrack_worker.gpu.stores import EndedOperation, Ending
from singletrack_worker.gpu.turn import OWN_KINDS
from singletrack_worker.settings import MIB
from singletrack_worker.sight.backlog import Backlog

# Prometheus does not use them, and they add a series to each counter and histogram.
disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client leaves it untyped

PREFIX = "singletrack"
OPERATIONS = (*(request.KIND for request in REQUESTS), *OWN_KINDS)
OUTCOMES: tuple[Ending, ...] = get_args(Ending)
NEED_VLM = tuple(request.KIND for request in REQUESTS if request.NEEDS_VLM)
INTENT_ENDS: tuple[IntentEnd, ...] = get_args(IntentEnd)
DRIFTS: tuple[str, ...] = get_args(Drift.model_fields["what"].annotation)
# From a no-op to a model loading from a slow disk.
SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)

# The values of a family of gauges by its label values, without `track`.
_Values = Mapping[tuple[str, ...], float]


class Metrics:
    """Counts operations and steps; a `gpu.stores.Telemetry`."""

    def __init__(self, track: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._track = track
        self._operations = self._counter(
            "operations", "Operations that got their turn on the GPU, by outcome.", "kind", "outcome"
        )
        self._durations = self._histogram(
            "operation_duration_seconds",
            "Time an operation had the GPU, including the steps that prepared it.",
            "kind",
        )
        self._waits = self._histogram(
            "operation_wait_seconds", "Time from sending a request to its operation's turn.", "kind"
        )
        self._transitions = self._counter(
            "transitions", "Operations that had to move a tenant onto or off the GPU.", "kind"
        )
        self._steps = self._counter("steps", "Steps of transitions, by outcome.", "step", "outcome")
        self._step_durations = self._histogram(
            "step_duration_seconds", "Time a step of a transition took, including its verification.", "step"
        )
        self._loads = self._counter("loads", "Times the VLM was loaded, or CLIP moved onto the GPU.", "tenant")
        self._unloads = self._counter("unloads", "Times the VLM was unloaded, or CLIP moved off the GPU.", "tenant")
        self._avoided = self._counter("swaps_avoided", "Operations that needed the VLM and found it in place.", "kind")
        self._retries = self._counter("retries", "Retries of loads and questions.", "what")
        self._tokens = self._counter("answer_tokens", "Tokens in the VLM's answers.")
        self._put_back = self._counter("messages_put_back", "Messages in hand that nothing ran: they were put back.")
        self._intents = self._counter("intents", "Announced needs of the VLM, by how they ended.", "outcome")
        self._intents_saved = self._counter(
            "intents_saved_seconds", "Time that loads of the VLM took which were made, or spared, for announced needs."
        )
        self._begin_at_zero()

    def put_back(self) -> None:
        """Count a message that was put back since nothing ran it."""
        self._put_back.labels(self._track).inc()

    def intent_ended(self, outcome: IntentEnd, saved_s: float) -> None:
        """Count an announced need of the VLM."""
        self._intents.labels(self._track, outcome).inc()
        self._intents_saved.labels(self._track).inc(saved_s)

    def moved(self, receipt: StepReceipt, error: SingletrackError | None) -> None:
        """Count a step of a transition."""
        track, step = self._track, receipt.step
        self._steps.labels(track, step, outcome_of(error)).inc()
        self._step_durations.labels(track, step).observe(receipt.duration_s)
        if receipt.attempts > 1:
            self._retries.labels(track, step).inc(receipt.attempts - 1)
        if error is None:
            counter = self._loads if STEPS[step].onto_gpu else self._unloads
            counter.labels(track, STEPS[step].tenant).inc()

    def ended(self, operation: EndedOperation) -> None:
        """Count an operation."""
        track, kind = self._track, operation.kind
        self._operations.labels(track, kind, operation.outcome).inc()
        self._durations.labels(track, kind).observe(operation.duration_s)
        if operation.waited_s is not None:
            self._waits.labels(track, kind).observe(operation.waited_s)
        if operation.moves:
            self._transitions.labels(track, kind).inc()
        elif kind in NEED_VLM and operation.outcome == "ok":
            self._avoided.labels(track, kind).inc()
        if operation.retries:
            self._retries.labels(track, kind).inc(operation.retries)
        if operation.answer_tokens:
            self._tokens.labels(track).inc(operation.answer_tokens)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, ("track", *labels), namespace=PREFIX, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, ("track", *labels), namespace=PREFIX, registry=self.registry, buckets=SECONDS)

    def _begin_at_zero(self) -> None:
        """Create all known series, so that rates and alerts see the first event as a change."""
        track = self._track
        self._tokens.labels(track)
        self._put_back.labels(track)
        self._intents_saved.labels(track)
        for end in INTENT_ENDS:
            self._intents.labels(track, end)
        for kind in OPERATIONS:
            for by_kind in (self._durations, self._waits, self._transitions):
                by_kind.labels(track, kind)
            for outcome in OUTCOMES:
                self._operations.labels(track, kind, outcome)
        for step in STEPS:
            self._step_durations.labels(track, step)
            for outcome in OUTCOMES:
                self._steps.labels(track, step, outcome)
        for kind in NEED_VLM:
            self._avoided.labels(track, kind)
            self._retries.labels(track, kind)
        for tenant in ("vlm", "clip"):
            self._loads.labels(track, tenant)
            self._unloads.labels(track, tenant)


class Gauges(Collector):
    """The status and the backlog in Redis, as gauges.

    A value that is unknown has no sample: VRAM without a GPU, the queue while Redis is away.
    """

    def __init__(self, look: Callable[[], tuple[GPUResourceStatus, Backlog | None]]) -> None:
        self._look = look

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the state, and yield the families."""
        status, backlog = self._look()
        for families in (_worker, _vram, _states, _drift, _operation):
            yield from families(status)
        yield from _backlog(status, backlog)


def _gauge(
    status: GPUResourceStatus, name: str, text: str, values: _Values | float | None, *labels: str
) -> GaugeMetricFamily:
    """Make a family of one value, or of one per label value; None makes no sample."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=("track", *labels))
    if isinstance(values, int | float):
        values = {(): values}
    for key, value in (values or {}).items():
        family.add_metric((status.track, *key), value)
    return family


def _one_hot(known: tuple[str, ...], *holding: str) -> _Values:
    return {(name,): float(name in holding) for name in dict.fromkeys((*known, *holding))}


def _worker(status: GPUResourceStatus) -> Iterator[GaugeMetricFamily]:
    worker, gpu, clip = status.worker, status.gpu, status.clip.model
    who: _Values = {(worker.host, str(worker.pid), worker.release): 1}
    yield _gauge(status, "worker_info", "Which worker this is; always 1.", who, "host", "pid", "release")
    yield _gauge(status, "worker_start_time_seconds", "Unix time when the worker started.", worker.started_unix_s)
    which: _Values = {} if gpu is None else {(gpu.name, gpu.uuid, str(gpu.simulated).lower()): 1}
    yield _gauge(status, "gpu_info", "Which GPU this is; always 1.", which, "name", "uuid", "simulated")
    models: dict[tuple[str, ...], float] = {("vlm", status.vlm.model): 1}
    if clip is not None:
        models["clip", clip.name] = 1
    yield _gauge(status, "model_info", "Which model a tenant is; always 1.", models, "tenant", "model")
    token = None if status.lease is None else status.lease.token
    text = "Fencing token of the worker's lease on the track, which only grows; 0 while another worker has the track."
    yield _gauge(status, "lease_token", text, token)


def _vram(status: GPUResourceStatus) -> Iterator[GaugeMetricFamily]:
    vram = status.vram
    total, used = (None, None) if vram is None else (vram.total_mb * MIB, vram.used_mb * MIB)
    yield _gauge(status, "vram_total_bytes", "GPU memory.", total)
    yield _gauge(status, "vram_used_bytes", "GPU memory in use, by the driver's figures.", used)
    text = "GPU memory in use: the VLM by Ollama's figures, CLIP by the driver's, and the rest."
    yield _gauge(status, "vram_tenant_bytes", text, _tenants(status), "tenant")
    seen = {"vlm": status.vlm.footprint_mb, "clip": status.clip.footprint_mb}
    footprints: _Values = {(tenant,): mb * MIB for tenant, mb in seen.items() if mb is not None}
    text = "GPU memory of a tenant, by the driver's figures, when it was last seen wholly on the GPU."
    yield _gauge(status, "footprint_bytes", text, footprints, "tenant")


def _tenants(status: GPUResourceStatus) -> _Values:
    """Divide the memory in use, so that the parts add up to it."""
    if status.vram is None:
        return {}
    parts_mb = share_out(status.vram.used_mb, status.vlm.vram_mb or 0, status.clip_on_gpu_mb)
    return {(tenant,): part_mb * MIB for tenant, part_mb in zip(("vlm", "clip", "other"), parts_mb, strict=True)}


def _states(status: GPUResourceStatus) -> Iterator[GaugeMetricFamily]:
    modes = _one_hot(tuple(ExecutionMode), status.mode)
    yield _gauge(status, "mode", "1 for the current execution mode, else 0.", modes, "mode")
    states = _one_hot(tuple(ModelState), status.vlm.state)
    yield _gauge(status, "vlm_state", "1 for the current state of the VLM, else 0.", states, "state")
    on_gpu = float(status.clip.device != "cpu")
    yield _gauge(status, "clip_on_gpu", "1 if CLIP serves from the GPU, 0 if from the CPU.", on_gpu)
    reasons = _one_hot(tuple(DegradedCode), *(reason.code for reason in status.reasons))
    yield _gauge(status, "degraded", "1 for a current reason for degraded mode, else 0.", reasons, "reason")


def _drift(status: GPUResourceStatus) -> Iterator[GaugeMetricFamily]:
    found: dict[tuple[str, ...], float] = {(what,): 0 for what in DRIFTS}
    taken = dict(found)
    for drift in status.drift:
        found[drift.what,] += 1
        taken[drift.what,] += (drift.vram_mb or 0) * MIB
    yield _gauge(status, "drift", "Foreign models and processes on the GPU.", found, "what")
    yield _gauge(status, "drift_vram_bytes", "GPU memory taken by foreign models and processes.", taken, "what")


def _operation(status: GPUResourceStatus) -> Iterator[GaugeMetricFamily]:
    operation = status.operation
    kinds = _one_hot(OPERATIONS, *([] if operation is None else [operation.kind]))
    yield _gauge(status, "operation_in_flight", "1 for the kind of the operation in flight, else 0.", kinds, "kind")
    age_s = 0.0 if operation is None else operation.age_s(status.taken_unix_s)
    text = "How long the operation in flight has had the GPU; 0 without one."
    yield _gauge(status, "operation_in_flight_age_seconds", text, age_s)


def _backlog(status: GPUResourceStatus, backlog: Backlog | None) -> Iterator[GaugeMetricFamily]:
    queue = None if backlog is None else backlog.queue(status)
    length, oldest_s, wait_s = (None, None, None) if queue is None else (queue.length, queue.oldest_age_s, queue.wait_s)
    text = "1 if Redis answered when the queue was looked at, else 0."
    yield _gauge(status, "redis_reachable", text, float(backlog is not None))
    yield _gauge(status, "queue_length", "Jobs that are waiting.", length)
    text = "How long the oldest job has waited; 0 if none is waiting."
    yield _gauge(status, "queue_oldest_age_seconds", text, 0.0 if length == 0 else oldest_s)
    yield _gauge(
        status, "queue_wait_seconds", "How long a job sent now would wait, estimated from measured durations.", wait_s
    )
    dead, age_s = (None, None) if backlog is None else (backlog.dead_letters, backlog.snapshot_age_s)
    yield _gauge(status, "dead_letters", "Dead letters: messages that were put aside instead of being run.", dead)
    yield _gauge(status, "snapshot_age_seconds", "Age of the published status, which clients read.", age_s)
