"""A scripted server in Ollama's place, and a manager that talks to it."""

from collections.abc import Iterator

import pytest

from singletrack_worker.gpu.ollama.manager import OllamaManager
from tests.unit.gpu.ollama.ollama_script import Script, SteppedClock, managed, scripted


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as server:
        yield server


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def vlm(script: Script, clock: SteppedClock) -> Iterator[OllamaManager]:
    with managed(script.url, clock) as manager:
        yield manager
