"""Cross-checks of the demo's day: Flower, its GPU page and the worker's metrics must agree with the diary."""

import json
import time
from collections.abc import Callable, Mapping

from singletrack_ops.demo.diary import Diary
from singletrack_ops.local.http_probe import get_text
from singletrack_ops.services import flower_page
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.upkeep import Tick

# Operations that the worker does by itself or because beat asks for them.
_UNASKED = ("tick", "settle", "resume")
# They learn of a job a moment after its caller does.
_WAIT_S = 10.0
_TIMEOUT_S = 5.0
_POLL_S = 0.1


def cross_check(stack: Stack, diary: Diary) -> None:
    """Compare what they show with the diary, and enter the outcome in it as expectations."""
    _check_flower(stack, diary)
    _check_gpu_page(stack, diary)
    _check_metrics(stack, diary)


def count_successes(metrics: str) -> int:
    """How many tasks Flower saw succeed, without the regular checks; `metrics` is the text of its `/metrics`."""
    return _count(
        metrics,
        "flower_events_total",
        lambda labels: labels.get("type") == "task-succeeded" and labels.get("task") != Tick.TASK,
    )


def count_operations(metrics: str) -> int:
    """How many requested operations succeeded; `metrics` is the text that the worker serves."""
    return _count(
        metrics,
        "singletrack_operations_total",
        lambda labels: labels.get("outcome") == "ok" and labels.get("kind") not in _UNASKED,
    )


def count_mode_changes(told: str) -> int:
    """How many mode changes the GPU page shows; `told` is the text of its `/gpu/api`, '' if it did not answer."""
    return sum(event["kind"] == "mode_changed" for event in json.loads(told or "{}").get("events", ()))


def _check_flower(stack: Stack, diary: Diary) -> None:
    url, jobs = stack.flower_url or "", diary.jobs
    seen = _wait_for(lambda: count_successes(flower_page(url, "/metrics", stack.worker_env) or ""), jobs)
    shown = flower_page(url, "/workers", stack.worker_env) is not None
    diary.expect(shown, f"Flower shows the worker at {url}/workers")
    diary.expect(seen >= jobs, f"Flower counts {seen} successful tasks; {jobs} were requested")


def _check_gpu_page(stack: Stack, diary: Diary) -> None:
    url, asked = stack.flower_url or "", diary.mode_changes
    told = _wait_for(lambda: count_mode_changes(flower_page(url, "/gpu/api", stack.worker_env) or ""), asked)
    shown = flower_page(url, "/gpu", stack.worker_env) is not None
    agrees = shown and told == asked
    diary.expect(agrees, f"the GPU page at {url}/gpu shows {told} mode changes; {asked} were requested")


def _check_metrics(stack: Stack, diary: Diary) -> None:
    url, jobs = stack.metrics_url, diary.jobs
    if url is None:
        diary.expect(False, f"the worker serves its metrics ({stack.worker.log_path.name} says why it does not)")
        return
    counted = _wait_for(lambda: count_operations(get_text(url, _TIMEOUT_S) or ""), jobs)
    diary.expect(counted >= jobs, f"the metrics at {url} count {counted} operations; {jobs} were requested")


def _wait_for(count: Callable[[], int], enough: int) -> int:
    """Count until there are enough, or the time is up."""
    deadline = time.monotonic() + _WAIT_S
    while (counted := count()) < enough and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return counted


def _count(metrics: str, name: str, counts: Callable[[Mapping[str, str]], bool]) -> int:
    """Add up the samples of a counter whose labels count."""
    # One of the worker's packages, which are checked for only when a stack is started.
    from prometheus_client.parser import text_string_to_metric_families

    samples = (sample for family in text_string_to_metric_families(metrics) for sample in family.samples)
    return sum(int(sample.value) for sample in samples if sample.name == name and counts(sample.labels))
