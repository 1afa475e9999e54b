"""What the doctor finds of beat, and of the clocks."""

import time

import pytest

from singletrack.cli import checks
from singletrack.cli.checks import run_checks
from singletrack.cli.context import Target
from singletrack.cli.findings import Finding
from singletrack_tasks.result import Degradation, DegradedCode
from singletrack_tasks.status import GpuInfo
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
