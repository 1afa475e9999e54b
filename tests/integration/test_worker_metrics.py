"""The metrics of a real worker: scraped while it works, and read by a real Prometheus."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from singletrack import Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.local.child_process import Child, wait_until_ready
from singletrack_ops.local.http_probe import get_json, get_text
from singletrack_ops.local.loopback import LOOPBACK, free_port
from singletrack_tasks.errors import JobCancelled, UnknownModel
from singletrack_tasks.status import ModelState
from singletrack_worker.settings import MIB
from tests.integration.conftest import CLIP_MB, TOTAL_MB, VLM_MB
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import running_worker, submit_endless, worker_environ
from tests.unit.ops.monitoring import OPS, panel_queries, queries
from tests.unit.ops.promql import Query
from tests.unit.worker.sight.exposition import Exposition

pytestmark = pytest.mark.ollama

TRACK = "scraped"
READY_S = 30.0


@dataclass(frozen=True)
class Scraped:
    """A worker, a client of it, and where its metrics are."""

    worker: Child
    client: Client
    port: int

    def scrape(self) -> Exposition:
        """Fetch the metrics over HTTP."""
        text = get_text(f"http://{LOOPBACK}:{self.port}/metrics", 60)
        assert text is not None
        return Exposition(text)

    def ended(self, kind: str, outcome: str) -> float:
        """How many operations have ended so."""
        return self.scrape().value("operations_total", TRACK, kind=kind, outcome=outcome)


@pytest.fixture(scope="module")
def scraped(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, ollama: EmbeddedOllama, tiny_clip: Path
) -> Iterator[Scraped]:
    port = free_port()
    environ = worker_environ(
        redis_url,
        TRACK,
        ollama,
        clip_weights=f"local-dir:{tiny_clip}",
        gpu="simulated",
        simulated_total_mb=TOTAL_MB,
        simulated_vlm_mb=VLM_MB,
        simulated_clip_mb=CLIP_MB,
        metrics_port=port,
    )
    with running_worker(tmp_path_factory.mktemp("scraped"), environ) as (worker, client):
        yield Scraped(worker, client, port)


def work_a_little(client: Client) -> None:
    """Operations of every kind, moves of every kind, and one that fails."""
    client.set_mode("AUTOPILOT")
    client.set_mode("RECORDING")
    client.ask("hello", options={"max_tokens": 2})
    client.ask("hello again", options={"max_tokens": 2})
    client.embed_texts(["a text"])
    with pytest.raises(UnknownModel):
        client.ask("hello", model="other")


def test_a_scrape_during_an_operation_agrees_with_the_status(scraped: Scraped) -> None:
    client = scraped.client
    client.set_mode("RECORDING")
    cancelled = scraped.ended("ask", "cancelled")
    job = submit_endless(client)
    waiting = [client.submit_ask("What?", options={"max_tokens": 1}, timeout_s=60) for _ in range(2)]
    wait_for(lambda: scraped.scrape().holding("operation_in_flight", TRACK) == {"ask"}, "the metrics show it")
    looks: list[Exposition] = []

    def shows_who_waits() -> bool:
        looks[:] = [scraped.scrape()]
        (look,) = looks
        # Where Redis takes its time, they are left out; the next look is in a second.
        told = look.has("queue_length") and look.has("queue_oldest_age_seconds")
        return told and look.value("queue_length", TRACK) == 2 and look.value("queue_oldest_age_seconds", TRACK) > 0

    wait_for(shows_who_waits, "the metrics show who waits")
    (seen,), status = looks, client.status()
    assert status.vram is not None
    assert status.operation is not None
    assert seen.value("vram_used_bytes", TRACK) == status.vram.used_mb * MIB
    assert seen.value("vram_total_bytes", TRACK) == status.vram.total_mb * MIB
    assert seen.value("vram_tenant_bytes", TRACK, tenant="vlm") == VLM_MB * MIB
    assert seen.holding("mode", TRACK) == {status.mode} == {"RECORDING"}
    assert seen.holding("vlm_state", TRACK) == {status.vlm.state} == {ModelState.LOADED}
    assert seen.holding("degraded", TRACK) == {reason.code for reason in status.reasons}
    assert status.lease is not None
    assert seen.value("lease_token", TRACK) == status.lease.token
    assert seen.value("operation_in_flight_age_seconds", TRACK) > 0
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result()
    for other in waiting:
        other.result()
    assert scraped.ended("ask", "cancelled") == cancelled + 1
    wait_for(lambda: scraped.scrape().holding("operation_in_flight", TRACK) == set(), "nothing is in flight")
    assert scraped.scrape().value("operation_in_flight_age_seconds", TRACK) == 0


def test_what_a_client_sees_is_what_is_counted(scraped: Scraped) -> None:
    client = scraped.client
    client.set_mode("IDLE")
    client.ensure_vlm_unloaded()
    before = scraped.scrape()

    first = client.ask("hello", options={"max_tokens": 3})
    client.ask("hello", options={"max_tokens": 3})
    with pytest.raises(UnknownModel):
        client.ask("hello", model="other")

    after = scraped.scrape()

    def more(name: str, **labels: str) -> float:
        return after.value(name, TRACK, **labels) - before.value(name, TRACK, **labels)

    assert [step.step for step in first.result.receipts] == ["load_vlm"]
    assert more("operations_total", kind="ask", outcome="ok") == 2
    assert more("operations_total", kind="ask", outcome="failed") == 1
    assert more("operation_duration_seconds_count", kind="ask") == 3
    assert more("operation_wait_seconds_count", kind="ask") == 3
    assert more("steps_total", step="load_vlm", outcome="ok") == more("loads_total", tenant="vlm") == 1
    assert more("step_duration_seconds_sum", step="load_vlm") == pytest.approx(first.result.receipts[0].duration_s)
    assert more("transitions_total", kind="ask") == more("swaps_avoided_total", kind="ask") == 1
    assert 2 <= more("answer_tokens_total") <= 6
    assert more("retries_total", what="ask") == 0


def test_every_query_asks_for_what_a_real_worker_exposes(scraped: Scraped) -> None:
    work_a_little(scraped.client)
    samples = list(scraped.scrape().samples)
    problems = [(where, Query.read(expression).problems(samples)) for where, expression in queries(TRACK)]
    assert [problem for problem in problems if problem[1]] == []


@pytest.fixture(scope="module")
def prometheus(scraped: Scraped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus with our configuration and rules, its target and its pace excepted."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian: apt install prometheus)")
    folder, url = tmp_path_factory.mktemp("prometheus"), f"{LOOPBACK}:{free_port()}"
    config: dict[str, Any] = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"{LOOPBACK}:{scraped.port}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copy(OPS / "prometheus" / "rules.yml", folder)
    command = (program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={url}")
    child = Child.start("prometheus", command, env={"PATH": "/usr/bin"}, cwd=folder, log_path=folder / "prometheus.log")
    try:
        wait_until_ready(child, lambda: get_text(f"http://{url}/-/ready", 2) is not None, READY_S)
        yield f"http://{url}"
    finally:
        child.stop()


def ask(prometheus: str, expression: str) -> list[dict[str, Any]]:
    """Evaluate an expression; what is wrong with it is raised."""
    answer = requests.get(f"{prometheus}/api/v1/query", {"query": expression}, timeout=10).json()
    assert answer["status"] == "success", f"{expression}: {answer}"
    assert not answer.get("warnings"), f"{expression}: {answer['warnings']}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def test_prometheus_answers_every_query(scraped: Scraped, prometheus: str) -> None:
    changes = f'increase(singletrack_loads_total{{track="{TRACK}", tenant="vlm"}}[1m]) > 0'
    wait_for(lambda: bool(ask(prometheus, f'singletrack_worker_info{{track="{TRACK}"}}')), "it scrapes", READY_S)
    work_a_little(scraped.client)
    wait_for(lambda: bool(ask(prometheus, changes)), "it has seen the work", READY_S)
    for where, expression in queries(TRACK):
        ask(prometheus, expression)
        for selector in Query.read(expression).selectors:
            if selector.name != "ALERTS":
                matchers = ", ".join(f'{label}{how}"{value}"' for label, how, value in selector.matchers)
                # A scrape that came late makes all of them stale for a second.
                seen = f"last_over_time({selector.name}{{{matchers}}}[1m])"
                assert ask(prometheus, seen), f"{where}: nothing for {selector}"
    for where, expression, legend in panel_queries(TRACK):
        for series in ask(prometheus, expression):
            assert legend - {"reason"} <= set(series["metric"]), f"{where}: {series['metric']}"


def test_prometheus_evaluates_every_rule(prometheus: str) -> None:
    def rules() -> list[dict[str, Any]]:
        answer: Any = get_json(f"{prometheus}/api/v1/rules", 5)
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]

    wait_for(lambda: all(rule["health"] != "unknown" for rule in rules()), "every rule was evaluated", READY_S)
    assert [rule["name"] for rule in rules() if rule["health"] != "ok"] == []


def test_a_worker_that_ended_is_a_target_that_is_down(scraped: Scraped, prometheus: str) -> None:
    """The last test of this module: its worker has ended afterwards."""
    scraped.worker.ask_to_end()
    wait_for(lambda: bool(ask(prometheus, 'up{job="singletrack"} == 0')), "it is down", READY_S)
    pending = 'ALERTS{alertname="SingletrackWorkerDown", alertstate="pending"}'
    wait_for(lambda: bool(ask(prometheus, pending)), "its alert waits for its minute", READY_S)
