"""The section about the whole stack passes with a real worker on a simulated GPU."""

from pathlib import Path

from tests.integration.gpu_check.simulation import Simulation


def test_it_passes(tmp_path: Path, tiny_clip: Path) -> None:
    outcome = Simulation(tmp_path, tiny_clip, "stack").outcome()
    assert outcome.failures() == []
    assert (outcome.status, "ok" in outcome.verdicts("stack")) == (0, True), outcome.printed
