"""What the demo expects of Flower, its GPU page and the metrics, and that it notices where they tell less."""

import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from singletrack_ops.demo import onlookers
from singletrack_ops.demo.diary import Diary, DiaryEntry
from singletrack_ops.demo.onlookers import check_onlookers
from singletrack_ops.embedded.net import LOOPBACK

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
    check_onlookers(stack_of(pages), diary)
    assert diary.unmet == ()
    told = " ".join(expectation.text for expectation in diary.expectations)
    for path in ("/workers", "/gpu", "/worker/metrics"):
        assert f"http://{LOOPBACK}:{pages.server_port}{path} " in f"{told} "


@pytest.mark.parametrize(
    ("path", "text", "unmet"),
    [
        ("/workers", None, "Flower shows the worker"),
        ("/metrics", FLOWER.replace(" 2.0", " 1.0"), "Flower saw 1 tasks succeed"),
        ("/gpu", None, "the GPU page"),
        ("/gpu/api", '{"events": []}', "tells of 0 mode changes; 1"),
        ("/gpu/api", None, "tells of 0 mode changes; 1"),
        ("/worker/metrics", WORKER.replace(" 2.0", " 1.0"), "count 1 operations; 2"),
        ("/worker/metrics", None, "count 0 operations; 2"),
    ],
)
def test_who_tells_less_is_noticed(
    pages: Pages, diary: Diary, monkeypatch: pytest.MonkeyPatch, path: str, text: str | None, unmet: str
) -> None:
    monkeypatch.setattr(onlookers, "_WAIT_S", 0.0)
    changed = PAGES | {path: text}
    pages.texts = {name: known for name, known in changed.items() if known is not None}
    check_onlookers(stack_of(pages), diary)
    (found,) = diary.unmet
    assert unmet in found.text


def test_a_worker_that_serves_no_metrics_is_noticed(pages: Pages, diary: Diary) -> None:
    check_onlookers(stack_of(pages, metrics_url=None), diary)
    (found,) = diary.unmet
    assert "worker.log" in found.text
