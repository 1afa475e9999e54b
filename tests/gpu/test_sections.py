"""Every section of `make gpu`: modes, room, drift, faults and 200 random operations by the driver's own figures."""

from pathlib import Path

import pytest

from gpu_check.lab import Lab
from gpu_check.report import Findings, Report
from gpu_check.sections.catalogue import SECTIONS

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_fails(lab: Lab, section: str, tmp_path: Path) -> None:
    report = Report(tmp_path / "report.json", {})
    SECTIONS[section](lab, Findings(report, section))
    assert report.rows
    assert report.failed == []
