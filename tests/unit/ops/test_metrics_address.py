"""Where the worker of a stack serves its metrics."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from singletrack_ops import services
from singletrack_ops.local.loopback import LOOPBACK, port_is_free
from singletrack_ops.services import METRICS_HOST_SETTING, METRICS_PORT_SETTING, metrics_port, metrics_url
from singletrack_tasks.status import WorkerInfo
from singletrack_worker.settings import METRICS_PORT
from tests.addresses import SILENT_PORT

WORKER = WorkerInfo(host="here", pid=4711, release="1", started_unix_s=0)


class _Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'singletrack_worker_info{host="here",pid="4711"} 1\n')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """A port with the metrics of the worker behind it."""
    with http.server.HTTPServer((LOOPBACK, 0), _Metrics) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def at(port: int | str, host: str = "") -> dict[str, str]:
    return {METRICS_PORT_SETTING: str(port), METRICS_HOST_SETTING: host}


def test_a_port_that_is_set_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "port_is_free", lambda port: False)
    assert metrics_port(at(" 4000 ")) == "4000"
    assert metrics_port(at(0)) == "0"


def test_else_it_is_the_usual_one_or_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "port_is_free", lambda port: True)
    assert metrics_port({}) == metrics_port(at("")) == str(METRICS_PORT)
    monkeypatch.setattr(services, "port_is_free", lambda port: False)
    chosen = int(metrics_port({}))
    assert chosen != METRICS_PORT
    assert port_is_free(chosen)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "0.0.0.0", "::"])
def test_the_address_is_one_that_this_machine_reaches(port: int, host: str) -> None:
    assert metrics_url(at(port, host), WORKER) == f"http://127.0.0.1:{port}/metrics"


def test_metrics_of_another_worker_are_not_ours(port: int) -> None:
    assert metrics_url(at(port), WORKER.model_copy(update={"pid": 1})) is None


def test_there_is_none_where_nobody_serves() -> None:
    assert metrics_url(at(0), WORKER) is None
    assert metrics_url(at(SILENT_PORT), WORKER) is None
