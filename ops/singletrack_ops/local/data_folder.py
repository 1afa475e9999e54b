"""The folder that takes a stack's data and logs, and how files are put into it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from singletrack_tasks.errors import InvalidConfiguration


def default_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of `singletrack up`: `singletrack` in the user's folder for state."""
    env = os.environ if environ is None else environ
    if sys.platform == "win32" and (local := env.get("LOCALAPPDATA")):
        return Path(local) / "singletrack"
    state = env.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "singletrack"


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; raises `InvalidConfiguration` if it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfiguration(f"cannot use the folder {folder}: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidConfiguration(f"cannot use the folder {folder}: it is not writable")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, replacing the one that is there."""
    path.unlink(missing_ok=True)  # the old one might be readable by others
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def fresh_log(path: Path) -> Path:
    """Make room for a new log; the previous one stays beside it as `.1`."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))
    return path
