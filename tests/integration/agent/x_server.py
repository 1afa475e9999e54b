"""An X server without a screen, with a window manager: where real windows are looked at and clicked."""

import os
import secrets
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integration.ops.waiting import wait_for

LIMIT_S = 60.0
_OF_THIS_HOST = 256


@dataclass(frozen=True)
class XServer:
    """A running server: its name, and the environment of programs that show themselves there."""

    name: str
    authority: Path

    @property
    def environ(self) -> dict[str, str]:
        without = {name: value for name, value in os.environ.items() if name not in {"WAYLAND_DISPLAY"}}
        return without | self.variables

    @property
    def variables(self) -> dict[str, str]:
        return {"DISPLAY": self.name, "XAUTHORITY": str(self.authority)}


@contextmanager
def x_server(
    folder: Path, *, width: int, height: int, managed: bool = True, options: tuple[str, ...] = ()
) -> Iterator[XServer]:
    """Start Xvfb, and openbox if it is to be managed; skips where one of them is missing."""
    if find_spec("pynput") is None:
        pytest.skip("needs the extra [desktop]")
    for program in ("Xvfb", "openbox", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}: apt-get install xvfb openbox xdotool")
    folder.mkdir(parents=True, exist_ok=True)
    authority = folder / "xauthority"
    authority.write_bytes(_permission())
    with ExitStack() as stack:
        name = stack.enter_context(_xvfb(folder, (width, height), ("-auth", str(authority), *options)))
        server = XServer(name, authority)
        if managed:
            stack.enter_context(_openbox(folder, server))
        yield server


def _permission() -> bytes:
    """A file of permissions with one cookie, for every server of this host."""
    parts = (socket.gethostname().encode(), b"", b"MIT-MAGIC-COOKIE-1", secrets.token_bytes(16))
    return struct.pack(">H", _OF_THIS_HOST) + b"".join(struct.pack(">H", len(part)) + part for part in parts)


@contextmanager
def _xvfb(folder: Path, size: tuple[int, int], options: tuple[str, ...]) -> Iterator[str]:
    reading, writing = os.pipe()
    screen = ("-screen", "0", f"{size[0]}x{size[1]}x24")
    with (folder / "xvfb.log").open("wb") as log, os.fdopen(reading) as told:
        process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), *screen, "-nolisten", "tcp", "-noreset", *options],
            pass_fds=[writing],
            stdout=log,
            stderr=log,
        )
        os.close(writing)
        with stopped(process):
            number = told.readline().strip()
            assert number, (folder / "xvfb.log").read_text()
            yield f":{number}"


@contextmanager
def _openbox(folder: Path, server: XServer) -> Iterator[None]:
    from Xlib.display import Display

    with (folder / "openbox.log").open("wb") as log:
        process = subprocess.Popen(
            ["openbox", "--sm-disable"],
            env=server.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
            stdout=log,
            stderr=log,
        )
        with stopped(process), pytest.MonkeyPatch.context() as patched:
            patched.setenv("XAUTHORITY", str(server.authority))
            display = Display(server.name)
            try:
                atom = display.intern_atom("_NET_SUPPORTING_WM_CHECK")
                root = display.screen().root
                wait_for(lambda: root.get_full_property(atom, 0) is not None, "openbox manages the screen", LIMIT_S)
            finally:
                display.close()
            yield


@contextmanager
def stopped(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> Iterator[None]:
    """End a process at the end, however the test went."""
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def split_in_two(server: XServer, width: int, height: int) -> None:
    """Have the screen be two monitors side by side, each of this size."""
    from Xlib.display import Display
    from Xlib.protocol import rq

    class SetMonitor(rq.Request):  # type: ignore[misc]  # python-xlib has no annotations, and its own cannot be sent
        _request = rq.Struct(
            rq.Card8("opcode"),
            rq.Opcode(43),
            rq.RequestLength(),
            rq.Window("window"),
            rq.Card32("name"),
            rq.Bool("primary"),
            rq.Bool("automatic"),
            rq.LengthOf("outputs", 2),
            rq.Int16("x"),
            rq.Int16("y"),
            rq.Card16("width"),
            rq.Card16("height"),
            rq.Card32("width_mm"),
            rq.Card32("height_mm"),
            rq.List("outputs", rq.Card32Obj),
        )

    display = Display(server.name)
    root = display.screen().root
    sizes = {"width": width, "height": height, "width_mm": 300, "height_mm": 200}
    opcode = display.display.get_extension_major("RANDR")
    outputs = list(root.xrandr_get_screen_resources().outputs)
    for number, mine in enumerate((outputs, [])):
        names = {"name": display.intern_atom(f"HALF-{number}"), "primary": 0, "automatic": 0, "outputs": mine}
        place = {"x": number * width, "y": 0}
        SetMonitor(display=display.display, opcode=opcode, window=root, **names, **place, **sizes)
    display.sync()
    display.close()
