"""The check passes on a simulated GPU with nothing wrong, and says what it found."""

from pathlib import Path

import pytest

from gpu_check.page import FIGURES
from gpu_check.runner import LEFT_OUT
from gpu_check.sections.catalogue import SECTIONS
from tests.integration.gpu_check.simulation import Outcome, Simulation

# What only a real driver tells.
OF_A_REAL_GPU = {"nvml_read_us"}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Outcome:
    return Simulation(tmp_path_factory.mktemp("gpu_check"), tiny_clip).outcome()


def test_it_passes(outcome: Outcome) -> None:
    assert outcome.failures() == []
    assert outcome.status == 0, outcome.printed
    assert outcome.report["passed"] is True


def test_every_section_ran_and_checked_something(outcome: Outcome) -> None:
    assert list(outcome.report["sections"]) == list(SECTIONS)
    assert {name for name, how in outcome.report["sections"].items() if how.endswith(" s")} == set(SECTIONS) - set(
        LEFT_OUT
    )
    judged = set(SECTIONS) - set(LEFT_OUT) - {"environment", "nvml"}
    assert {section for section in judged if "ok" not in outcome.verdicts(section)} == set()


def test_it_says_that_it_is_simulated(outcome: Outcome) -> None:
    assert outcome.report["about"]["simulated"] is True
    assert "simulated" in outcome.report["about"]["gpu"]


def test_it_measures_what_the_page_shows(outcome: Outcome) -> None:
    assert set(FIGURES) - outcome.report["figures"].keys() == OF_A_REAL_GPU


def test_it_prints_a_table(outcome: Outcome) -> None:
    assert "0 failed; the report is" in outcome.printed.splitlines()[-1]
