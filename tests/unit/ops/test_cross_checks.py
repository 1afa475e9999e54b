"""What the demo expects of Flower, its GPU page and the metrics, and that it notices where they tell less."""

import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from singletrack_ops.demo import cross_checks
from singletrack_ops.demo.cross_checks import count_mode_changes, count_operations, count_successes, cross_check
from singletrack_ops.demo.diary import Diary, DiaryEntry
from singletrack_ops.local.loopback import LOOPBACK

FLOWER = 'flower_events_total{task="gpu.vlm.ask",type="task-succeeded",worker="celery@host"} 2.0\n'
WORKER = 'singletrack_operations_total{kind="ask",outcome="ok",track="gpu0"} 2.0\n'
PAGES = {
    "/workers": "a worker",
    "/metrics": FLOWER,
    "/gpu": "a page",
    "/gpu/api": '{"events": [{"kind": "mode_changed"}, {"kind": "vlm_loaded"}]}',
    "/worker/metrics": WORKER,
}


class Pages(http.server.HTTPServer):
    """Serves texts by their path."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.texts = dict(PAGES)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        text = self.server.texts.get(self.path)
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def diary() -> Diary:
    """Two jobs, one of them a change of mode."""
    kept = Diary(Console(file=io.StringIO(), width=200))
    for kind in ("ask", "set_mode AUTOPILOT"):
        kept.operations.append(DiaryEntry("IDLE", kind, "", None, None, 0.1, "done", 1))
    return kept


def stack_of(pages: Pages, **changed: Any) -> Any:
    url = f"http://{LOOPBACK}:{pages.server_port}"
    worker = SimpleNamespace(log_path=Path("worker.log"))
    fields = {"flower_url": url, "metrics_url": f"{url}/worker/metrics", "worker_env": {}, "worker": worker}
    return SimpleNamespace(**(fields | changed))


def test_what_all_of_them_saw_is_as_expected_and_told_with_their_addresses(pages: Pages, diary: Diary) -> None:
    cross_check(stack_of(pages), diary)
    assert diary.unmet == ()
    told = " ".join(expectation.text for expectation in diary.expectations)
    for path in ("/workers", "/gpu", "/worker/metrics"):
        assert f"http://{LOOPBACK}:{pages.server_port}{path} " in f"{told} "


@pytest.mark.parametrize(
    ("path", "text", "unmet"),
    [
        ("/workers", None, "Flower shows the worker"),
        ("/metrics", FLOWER.replace(" 2.0", " 1.0"), "Flower counts 1 successful tasks"),
        ("/gpu", None, "the GPU page"),
        ("/gpu/api", '{"events": []}', "shows 0 mode changes; 1"),
        ("/gpu/api", None, "shows 0 mode changes; 1"),
        ("/worker/metrics", WORKER.replace(" 2.0", " 1.0"), "count 1 operations; 2"),
        ("/worker/metrics", None, "count 0 operations; 2"),
    ],
)
def test_who_tells_less_is_noticed(
    pages: Pages, diary: Diary, monkeypatch: pytest.MonkeyPatch, path: str, text: str | None, unmet: str
) -> None:
    monkeypatch.setattr(cross_checks, "_WAIT_S", 0.0)
    changed = PAGES | {path: text}
    pages.texts = {name: known for name, known in changed.items() if known is not None}
    cross_check(stack_of(pages), diary)
    (found,) = diary.unmet
    assert unmet in found.text


def test_a_worker_that_serves_no_metrics_is_noticed(pages: Pages, diary: Diary) -> None:
    cross_check(stack_of(pages, metrics_url=None), diary)
    (found,) = diary.unmet
    assert "worker.log" in found.text


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
