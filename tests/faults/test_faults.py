"""The short form of a campaign (`python -m tests.faults`): each of the main faults, on the whole product."""

import sys
from pathlib import Path

import pytest

from singletrack_ops.errors import SandboxUnavailable
from tests.faults.campaign import run_world
from tests.faults.report import Report
from tests.faults.subjects import OURS

pytestmark = [
    pytest.mark.ollama,
    pytest.mark.skipif(sys.platform != "linux", reason="the clock that all processes share is Linux's"),
]

KILLED = (
    "kill-busy",
    "duplicate",
    "kill-in-socket",
    "malformed",
    "kill-redis",
    "kill-any",
    "kill-connections",
    "poison",
    "kill-ollama",
    "term-kill",
    "kill-encoder",
    "kill-busy",
)
CROWDED = ("second-worker", "takeover", "out-of-memory", "standby", "step-clock", "term-term")


@pytest.mark.parametrize("faults", [KILLED, CROWDED], ids=["killed", "crowded"])
def test_nothing_is_lost_or_done_twice(tmp_path: Path, faults: tuple[str, ...]) -> None:
    report = Report()
    try:
        run_world(tmp_path / "world", OURS, f"test {faults[0]}", faults, report)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    assert report.violations == []
    # A worker that is killed while it is busy has work by its nature; what comes during another fault is chance.
    assert "kill-busy" not in faults or report.tallies["kill-busy"].accepted
    assert sum(tally.accepted for tally in report.tallies.values())
    assert set(faults) <= set(report.tallies)
