"""What the tests of the house rules share."""

import grimp
import pytest

from tests.unit.house.import_rules import ROOTS


@pytest.fixture(scope="session")
def graph() -> grimp.ImportGraph:
    """Who imports whom in the sources; nobody adds to it."""
    return grimp.build_graph(*ROOTS, include_external_packages=True, cache_dir=None)
