"""Writes the flight recorder's recordings to a bounded number of files."""

import logging
import os
import re
import sys
from collections import Counter
from pathlib import Path

from singletrack_tasks.recording import Recording

FILES_MAX = 20
_log = logging.getLogger(__name__)


class Flights:
    """The recording files of one track in a folder, `TRACK-TIME-REASON.json.gz`, the time in UTC.

    At most `FILES_MAX` are kept. The most frequent reason loses its oldest file first, so that a failure that recurs
    every minute does not displace one that happened once.
    """

    def __init__(self, folder: Path | None, track: str) -> None:
        self._folder = folder
        name = rf"{re.escape(track)}-\d{{8}}T\d{{6}}Z-(?P<reason>\w+)\.json\.gz"
        self._ours = re.compile(name)
        self._told = ""

    def write(self, recording: Recording) -> Path | None:
        """Write a recording and log its path; None if it cannot be written, which is logged once."""
        try:
            folder = self._folder or default_flight_folder()
            path = folder / recording.file_name
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Always the same name, so that the leftover of a killed worker is overwritten.
            _write_whole(path, folder / f".{recording.track}.part", recording.pack())
            self._prune(folder)
        except (OSError, RuntimeError) as error:
            self._tell(error)
            return None
        self._told = ""
        _log.warning("%s: the last minutes of the GPU are in %s (%s)", recording.reason, path, recording.detail)
        return path

    def _prune(self, folder: Path) -> None:
        found = sorted(file for file in folder.iterdir() if self._ours.fullmatch(file.name))
        while len(found) > FILES_MAX:
            (most, _), *_ = Counter(map(self._reason, found)).most_common(1)
            oldest = next(file for file in found if self._reason(file) == most)
            oldest.unlink(missing_ok=True)
            found.remove(oldest)

    def _reason(self, file: Path) -> str:
        match = self._ours.fullmatch(file.name)
        return match["reason"] if match else ""

    def _tell(self, error: Exception) -> None:
        if str(error) == self._told:
            return
        self._told = str(error)
        _log.warning(
            "the flight recorder cannot write its files (%s): set SINGLETRACK_FLIGHT_DIR to a folder that the worker "
            "can write to. `singletrack record` works without one.",
            error,
        )


def default_flight_folder() -> Path:
    """Return the user's folder for such files; raises `RuntimeError` for a user without a home."""
    if sys.platform == "win32":
        named = os.environ.get("LOCALAPPDATA", "")
        root = Path(named) if named else Path.home() / "AppData" / "Local"
    else:
        named = os.environ.get("XDG_STATE_HOME", "")
        # The XDG specification says to ignore a path that is not absolute.
        root = Path(named) if named.startswith("/") else Path.home() / ".local" / "state"
    return root / "singletrack" / "flights"


def _write_whole(path: Path, partial: Path, data: bytes) -> None:
    """Write a file that no other user can read, whole or not at all."""
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
