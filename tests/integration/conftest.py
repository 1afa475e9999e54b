"""The real servers that the integration tests talk to, and a real worker between them: one of each a test run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack import Client
from singletrack_ops.embedded.ollama_server import EmbeddedOllama
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_ops.errors import SandboxUnavailable
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.upkeep import Tick
from tests.integration.worker_tools import unload, worker_environ

# Long enough to use a model, short enough to wait for: the tests send the checks that beat would send.
IDLE_TIMEOUT_S = 10.0
# The two tenants do not fit together.
TOTAL_MB, VLM_MB, CLIP_MB = 8192, 7000, 1100


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own."""
    with EmbeddedRedis.start(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedOllama]:
    """A real Ollama with a tiny model, on the CPU; skips where the sandbox cannot be had."""
    try:
        server = EmbeddedOllama.start_sandbox(tmp_path_factory.mktemp("ollama"))
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _nothing_loaded(request: pytest.FixtureRequest) -> None:
    """Each module finds the server as if it were its own: what another one left loaded is gone."""
    if request.node.get_closest_marker("ollama") is not None:
        server: EmbeddedOllama = request.getfixturevalue("ollama")
        unload(server, server.model)


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, ollama: EmbeddedOllama, tiny_clip: Path
) -> Iterator[Stack]:
    """A worker on a simulated GPU of 8 GiB, which nobody sends checks."""
    environ = worker_environ(
        redis_url,
        "shared",
        ollama,
        clip_weights=f"local-dir:{tiny_clip}",
        idle_timeout_s=IDLE_TIMEOUT_S,
        tick_interval_s=0.5,
        retry_pause_s=0.05,
        simulated_total_mb=TOTAL_MB,
        simulated_vlm_mb=VLM_MB,
        simulated_clip_mb=CLIP_MB,
    )
    folder = tmp_path_factory.mktemp("stack")
    with Stack.start(folder, environ=environ, gpu="simulated", with_beat=False, with_flower=False) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A client of the shared worker, its mode IDLE, the VLM unloaded and CLIP on the CPU."""
    with stack.client() as made:
        made.set_mode("RECORDING")
        made.set_mode("IDLE")
        made.ensure_vlm_unloaded()
        # As beat would: without any checks the track is degraded after a while.
        made.submit(Tick()).result()
        yield made
