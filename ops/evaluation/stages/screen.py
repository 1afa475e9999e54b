"""An X server without a monitor."""

import os
import shutil
import subprocess
from typing import Self

import mss
import numpy as np

from evaluation.stages.stage import Missing
from singletrack.agent.screen.screenshot import Pixels

_SIZE = "2560x1600x24"
_GRABS = 200


class VirtualScreen:
    """Xvfb on a display that is free; `display` is its name. Raises `Missing` without Xvfb."""

    def __init__(self) -> None:
        self.display = ""
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if shutil.which("Xvfb") is None:
            raise Missing("no Xvfb: install the package xvfb")
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", _SIZE, "-nolisten", "tcp", "-dpi", "96"]
        self._server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        if not number:
            raise Missing(f"Xvfb ended with {self._server.wait()}: start it by hand to see why")
        self.display = f":{number}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait()

    def grab(self, width: int, height: int) -> Pixels:
        """Take the left upper part of the screen, once it stands still; raises `ValueError` if it never does."""
        with mss.mss(display=self.display) as camera:
            before = None
            for _ in range(_GRABS):
                shot = camera.grab({"left": 0, "top": 0, "width": width, "height": height})
                if before is not None and shot.raw == before:
                    return np.ascontiguousarray(np.asarray(shot)[:, :, 2::-1]).astype(np.uint8)
                before = shot.raw
        raise ValueError(f"the screen {self.display} does not stand still")
