"""What whoever looks on saw of the demo's day: Flower, its page of the GPU, and who reads the worker's metrics."""

import time
from collections.abc import Callable

from singletrack_ops.demo.diary import Diary
from singletrack_ops.demo.report import count_mode_changes, count_operations, count_successes
from singletrack_ops.embedded.net import get_text
from singletrack_ops.services import flower_page
from singletrack_ops.stack import Stack

# They hear of it a moment later than whoever asked.
_WAIT_S = 10.0
_TIMEOUT_S = 5.0
_POLL_S = 0.1


def check_onlookers(stack: Stack, diary: Diary) -> None:
    """Compare what they tell with what is in the diary, and write that down there."""
    _check_flower(stack, diary)
    _check_gpu_page(stack, diary)
    _check_metrics(stack, diary)


def _check_flower(stack: Stack, diary: Diary) -> None:
    url, jobs = stack.flower_url or "", diary.jobs
    seen = _count(lambda: count_successes(flower_page(url, "/metrics", stack.worker_env) or ""), jobs)
    shown = flower_page(url, "/workers", stack.worker_env) is not None
    diary.expect(shown, f"Flower shows the worker at {url}/workers")
    diary.expect(seen >= jobs, f"Flower saw {seen} tasks succeed; {jobs} were asked for")


def _check_gpu_page(stack: Stack, diary: Diary) -> None:
    url, asked = stack.flower_url or "", diary.mode_changes
    told = _count(lambda: count_mode_changes(flower_page(url, "/gpu/api", stack.worker_env) or ""), asked)
    shown = flower_page(url, "/gpu", stack.worker_env) is not None
    diary.expect(
        shown and told == asked, f"the GPU page at {url}/gpu tells of {told} mode changes; {asked} were asked for"
    )


def _check_metrics(stack: Stack, diary: Diary) -> None:
    url, jobs = stack.metrics_url, diary.jobs
    if url is None:
        diary.expect(False, f"the worker serves its metrics ({stack.worker.log_path.name} says why it does not)")
        return
    counted = _count(lambda: count_operations(get_text(url, _TIMEOUT_S) or ""), jobs)
    diary.expect(counted >= jobs, f"the metrics at {url} count {counted} operations; {jobs} were asked for")


def _count(count: Callable[[], int], enough: int) -> int:
    """Count until there are enough, or the time is up."""
    deadline = time.monotonic() + _WAIT_S
    while (counted := count()) < enough and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return counted
