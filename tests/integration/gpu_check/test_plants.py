"""Whatever is planted into the simulated GPU or its tenants makes the check fail, and say where."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gpu_check.plants import Plant
from tests.integration.gpu_check.simulation import Outcome, Simulation

# Where a plant has to be found: in which section, and in words of what is said there.
FOUND: Mapping[Plant, tuple[str, str]] = {
    Plant.LEAK: ("clip", "never came back"),
    Plant.LATE: ("clip", "came back after its return"),
    Plant.SPARE: ("clip", "the warm spare has no memory on the GPU"),
    Plant.SKEW: ("clip", "largest 1 - cosine"),
    Plant.STAY: ("modes", "MB of CLIP left when the load begins (P6)"),
    Plant.LIE: ("room", "refused, figures off by MB"),
    Plant.LOST: ("faults", "the question is answered on"),
    Plant.GONE: ("faults", "CLIP is back by tick"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> dict[Plant, Outcome]:
    """All at once: each of them mostly waits."""
    running = {
        plant: Simulation(tmp_path_factory.mktemp(plant), tiny_clip, section, plant=plant)
        for plant, (section, _) in FOUND.items()
    }
    return {plant: simulation.outcome() for plant, simulation in running.items()}


def test_every_plant_is_tried() -> None:
    assert set(FOUND) == set(Plant)


@pytest.mark.parametrize("plant", Plant)
def test_it_is_found(outcomes: dict[Plant, Outcome], plant: Plant) -> None:
    outcome, (section, words) = outcomes[plant], FOUND[plant]
    assert outcome.status == 1
    assert outcome.report["passed"] is False
    found = [failure for failure in outcome.failures() if failure.startswith(f"{section}: ") and words in failure]
    assert found, outcome.failures()
