"""What the demo shows of its operations."""

import io

import pytest
from rich.console import Console

from singletrack_ops.demo.diary import Diary, DiaryEntry
from singletrack_ops.demo.report import count_events, print_report
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
    assert count_events([change, started, change]) == "2 mode_changed, 1 worker_started"
