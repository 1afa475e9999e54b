"""The stack that the examples run against: Redis, Ollama with a tiny model, a worker with a simulated GPU."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack_ops.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Stack]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SINGLETRACK_")}
    with Stack.start(
        tmp_path_factory.mktemp("documents"),
        environ=clean | {"SINGLETRACK_CLIP_WEIGHTS": f"local-dir:{tiny_clip}"},
        gpu="simulated",
        own_ollama=False,
        allow_sandbox=True,
        with_beat=False,
        with_flower=False,
    ) as running:
        yield running
