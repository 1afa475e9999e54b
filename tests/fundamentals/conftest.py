"""The stack of the tutorial: Redis, Ollama with a tiny model, and a worker with a simulated GPU and a tiny CLIP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack import Client
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.upkeep import Tick
from tests.small_stack import small_stack

SETTINGS = {
    "SINGLETRACK_IDLE_TIMEOUT_S": "0.5",
    "SINGLETRACK_TICK_INTERVAL_S": "0.5",
    "SINGLETRACK_SIMULATED_TOTAL_MB": "8192",
    "SINGLETRACK_SIMULATED_VLM_MB": "7000",
    "SINGLETRACK_SIMULATED_CLIP_MB": "1100",
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Stack]:
    with small_stack(tmp_path_factory.mktemp("fundamentals"), tiny_clip, SETTINGS) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """`Client()` where the environment says where Redis is."""
    with stack.client() as client:
        # As beat would: without any checks the track is degraded after a while.
        client.submit(Tick()).result()
        yield client
