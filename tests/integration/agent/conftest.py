"""What the tests with real windows share: an X server with a window manager, and the desktop that it makes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack.agent.desktop.real import RealDesktop, open_desktop
from tests.integration.agent.x_server import XServer, x_server

WIDTH, HEIGHT = 2560, 1600


@pytest.fixture(scope="package")
def x11(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XServer]:
    """An X server of 2560x1600 with openbox, for all tests here."""
    with x_server(tmp_path_factory.mktemp("x11"), width=WIDTH, height=HEIGHT) as server:
        yield server


@pytest.fixture
def at_x11(x11: XServer, monkeypatch: pytest.MonkeyPatch) -> XServer:
    """The X server, as this process's own."""
    for name, value in x11.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return x11


@pytest.fixture
def desktop(at_x11: XServer) -> Iterator[RealDesktop]:
    """Screen, mouse, keyboard and stop there."""
    with open_desktop() as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the applications of a test write."""
    return tmp_path / "applications"
