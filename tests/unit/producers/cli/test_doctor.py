"""What the doctor finds of beat, and of the clocks."""

import platform
import time

import pytest

from singletrack.cli import checks
from singletrack.cli.checks import run_checks
from singletrack.cli.context import Target
from singletrack.cli.findings import Finding
from singletrack_tasks.keys import ollama_tracks
from singletrack_tasks.ollama_address import server_name
from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import GpuInfo
from tests.addresses import SILENT_OLLAMA
from tests.unit.producers.conftest import LONELY_TRACK, Backstage
from tests.unit.producers.statuses import publish, status


def finding(redis_url: str, what: str) -> Finding:
    """What the doctor found of one thing, on the track without a worker."""
    (found,) = [found for found in run_checks(Target(redis_url, LONELY_TRACK)) if found.what == what]
    return found


def test_it_tells_whether_beat_runs(redis_url: str, lonely_backstage: Backstage) -> None:
    publish(lonely_backstage, status())
    assert finding(redis_url, "beat").verdict == "note"
    publish(lonely_backstage, status(last_check_unix_s=time.time() - 7))
    comes = finding(redis_url, "beat")
    assert comes.verdict == "ok"
    assert "its last check came" in comes.text
    missing = Degradation(code=DegradedCode.CHECKS_MISSING, message="no check has come", since_unix_s=0)
    publish(lonely_backstage, status(degraded=True, reasons=(missing,)))
    dead = finding(redis_url, "beat")
    assert (dead.verdict, dead.text) == ("problem", "no check has come")
    assert "celery -A singletrack_worker beat" in dead.advice


def test_on_an_agents_machine_it_tells_of_the_worker_and_is_content(
    redis_url: str, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lonely_backstage, status(gpu=GpuInfo(name="RTX 3060", uuid="GPU-1"), last_check_unix_s=time.time()))
    monkeypatch.setattr(checks, "installed", lambda _: None)
    findings = run_checks(Target(redis_url, LONELY_TRACK))
    assert {found.what for found in findings} == {"Redis", "clock", "worker", "beat", "GPU"}
    assert {found.verdict for found in findings} == {"ok"}
    assert "here has RTX 3060" in findings[-1].text


def test_it_tells_that_another_track_uses_the_ollama_server(
    redis_url: str, lonely_backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SINGLETRACK_GPU", raising=False)
    monkeypatch.setenv("SINGLETRACK_OLLAMA_URL", SILENT_OLLAMA)
    key = ollama_tracks(server_name(SILENT_OLLAMA, platform.node()))
    try:
        lonely_backstage.redis.zadd(key, {LONELY_TRACK: 1, "gpu1": 1})
        shared = finding(redis_url, "Ollama of its own")
        assert shared.verdict == "problem"
        assert "is that of gpu1 as well" in shared.text
        assert "SINGLETRACK_OLLAMA_URL" in shared.advice
    finally:
        lonely_backstage.redis.delete(key)
    findings = run_checks(Target(redis_url, LONELY_TRACK))
    assert "Ollama of its own" not in {found.what for found in findings}


@pytest.mark.parametrize(
    ("by_s", "verdict", "said"), [(0, "ok", "agrees"), (90, "note", "ahead"), (-90, "note", "behind")]
)
def test_it_tells_whether_this_machines_clock_is_off(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, by_s: float, verdict: str, said: str
) -> None:
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + by_s)
    found = finding(redis_url, "clock")
    assert found.verdict == verdict
    assert said in found.text
