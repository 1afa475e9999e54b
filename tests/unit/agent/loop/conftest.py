"""A loop at a scripted desktop."""

import threading
from pathlib import Path

import pytest

from tests.unit.agent.loop.forms import Bench, Hooked, draw_all, script


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    draw_all(folder)
    return folder


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def bench(pictures: Path, stop: threading.Event) -> Bench:
    return Bench(Hooked(script(), pictures), stop)
