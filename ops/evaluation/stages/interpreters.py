"""Which Python has a toolkit: bindings of GTK come with a system's own interpreter."""

import functools
import subprocess
import sys
from pathlib import Path

from evaluation.stages.stage import Missing

_CANDIDATES = (sys.executable, "/usr/bin/python3")


@functools.cache
def interpreter_with(needs: str) -> str:
    """Return a Python that can import `needs`, as `PySide6` or `gi:Gtk:4.0`; raises `Missing`."""
    for candidate in _CANDIDATES:
        if Path(candidate).exists():
            tried = subprocess.run([candidate, "-c", _check(needs)], capture_output=True, check=False)
            if tried.returncode == 0:
                return candidate
    raise Missing(f"no Python here can import {needs}")


def _check(needs: str) -> str:
    module, *wanted = needs.split(":")
    if not wanted:
        return f"import {module}"
    name, version = wanted
    return f"import {module}; {module}.require_version({name!r}, {version!r}); from {module}.repository import {name}"
