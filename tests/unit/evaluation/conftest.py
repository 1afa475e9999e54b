from pathlib import Path

import pytest

from evaluation.render import render_page
from tests.unit.evaluation.drawn import drawn_page


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the drawn page in it."""
    root = tmp_path_factory.mktemp("evaluation")
    render_page(drawn_page(), root)
    return root
