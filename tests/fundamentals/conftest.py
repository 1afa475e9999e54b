"""The stack of the tutorial: Redis, Ollama with a tiny model, and a worker with a simulated GPU and a tiny CLIP."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack import Client
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.upkeep import Tick

SETTINGS = {
    "SINGLETRACK_IDLE_TIMEOUT_S": "0.5",
    "SINGLETRACK_TICK_INTERVAL_S": "0.5",
    "SINGLETRACK_SIMULATED_TOTAL_MB": "8192",
    "SINGLETRACK_SIMULATED_VLM_MB": "7000",
    "SINGLETRACK_SIMULATED_CLIP_MB": "1100",
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Stack]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SINGLETRACK_")}
    with Stack.start(
        tmp_path_factory.mktemp("fundamentals"),
        environ=clean | {"SINGLETRACK_CLIP_WEIGHTS": f"local-dir:{tiny_clip}"},
        gpu="simulated",
        own_ollama=False,
        allow_sandbox=True,
        with_beat=False,
        with_flower=False,
        extra_env=SETTINGS,
    ) as running:
        if running.ollama is None:
            pytest.skip(running.ollama_problem)
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """`Client()` where the environment says where Redis is."""
    with stack.client() as client:
        # As beat would: without any checks the track is degraded after a while.
        client.submit(Tick()).result()
        yield client
