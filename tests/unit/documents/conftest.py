"""The stack that the examples run against: Redis, Ollama with a tiny model, a worker with a simulated GPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack_ops.stack import Stack
from tests.small_stack import small_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Stack]:
    with small_stack(tmp_path_factory.mktemp("documents"), tiny_clip) as running:
        yield running
