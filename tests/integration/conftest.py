"""The real servers that the integration tests talk to, one of each a test run."""

from collections.abc import Iterator

import pytest

from singletrack_ops.errors import SandboxUnavailable
from singletrack_ops.ollama_server import EmbeddedOllama
from singletrack_ops.redis_server import EmbeddedRedis


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
