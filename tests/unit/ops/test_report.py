"""What the demo shows of its operations."""

import io
import json

import pytest
from rich.console import Console

from singletrack_ops.demo.diary import Diary, DiaryEntry
from singletrack_ops.demo.report import (
    count_events,
    count_mode_changes,
    count_operations,
    count_successes,
    print_report,
)
from singletrack_tasks.events import ModeChanged, WorkerStarted
from singletrack_tasks.status import ExecutionMode

OPERATIONS = [
    DiaryEntry("AUTOPILOT", "ask (with a pydantic schema)", "cuda:0", 12.34, 123.45, 135.79, "done", 1),
    DiaryEntry("RECORDING", "embed_images (settings, again)", "snapshot", None, None, 0.01, "DeadlinePassed", 1),
]


@pytest.mark.parametrize(("width", "cut"), [(80, True), (100, False)])
def test_only_names_are_cut_where_it_is_narrow(width: int, cut: bool) -> None:
    console = Console(file=io.StringIO(), width=width)
    diary = Diary(console)
    diary.operations.extend(OPERATIONS)

    print_report(console, diary, [], None)

    output: str = console.file.getvalue()  # type: ignore[attr-defined] # it is the StringIO above
    for figure in ("AUTOPILOT", "12.34 s", "123.45 s", "135.79 s", "GPU turn", "snapshot", "DeadlinePassed"):
        assert figure in output
    assert ("ask (with a pydantic schema)" not in output) is cut
    assert max(len(line.rstrip()) for line in output.splitlines()) <= width


def test_events_are_counted_by_kind() -> None:
    change = ModeChanged(at_unix_s=1.0, before=ExecutionMode.IDLE, after=ExecutionMode.AUTOPILOT)
    started = WorkerStarted(at_unix_s=1.0, host="here", pid=1)
    assert count_events([change, started, change]) == "mode_changed 2, worker_started 1"


def test_flowers_metrics_tell_the_successes_without_the_regular_checks() -> None:
    metrics = "\n".join(
        (
            "# TYPE flower_events_total counter",
            'flower_events_total{task="gpu.vlm.ask",type="task-succeeded",worker="celery@host"} 3.0',
            'flower_events_total{task="gpu.vlm.ask",type="task-failed",worker="celery@host"} 4.0',
            'flower_events_total{task="gpu.upkeep.tick",type="task-succeeded",worker="celery@host"} 9.0',
            'flower_events_total{type="task-succeeded",worker="celery@host",task="gpu.ping"} 1.0',
            'flower_task_runtime_seconds_count{task="gpu.ping",worker="celery@host"} 1.0',
        )
    )
    assert count_successes(metrics) == 4


def test_the_workers_metrics_tell_the_operations_that_somebody_asked_for() -> None:
    metrics = "\n".join(
        (
            "# TYPE singletrack_operations_total counter",
            'singletrack_operations_total{kind="ask",outcome="ok",track="gpu0"} 3.0',
            'singletrack_operations_total{kind="ask",outcome="failed",track="gpu0"} 4.0',
            'singletrack_operations_total{kind="tick",outcome="ok",track="gpu0"} 9.0',
            'singletrack_operations_total{kind="settle",outcome="ok",track="gpu0"} 1.0',
            'singletrack_operations_total{track="gpu0",outcome="ok",kind="ping"} 1.0',
            'singletrack_transitions_total{kind="ask",track="gpu0"} 5.0',
        )
    )
    assert count_operations(metrics) == 4


def test_the_gpu_page_tells_the_changes_of_mode() -> None:
    assert count_mode_changes("") == 0
    kinds = ("worker_started", "mode_changed", "vlm_loaded", "mode_changed")
    assert count_mode_changes(json.dumps({"problem": None, "events": [{"kind": kind} for kind in kinds]})) == 2
