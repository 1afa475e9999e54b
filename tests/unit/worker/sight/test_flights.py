"""Recordings in files: few, whole, for nobody else to read, and no reason to end."""

import logging
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from singletrack_tasks.recording import Recording
from singletrack_worker.sight import flights
from singletrack_worker.sight.flights import FILES_MAX, Flights, default_flight_folder

START_UNIX_S = datetime(2025, 1, 1, tzinfo=UTC).timestamp()


def recording(number: int = 0, reason: str = "out_of_memory", track: str = "gpu0") -> Recording:
    """One that was taken so many minutes into 2025."""
    return Recording(track=track, reason=reason, detail="no more", taken_unix_s=START_UNIX_S + 60 * number)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_is_whole_private_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "state" / "flights"
    with caplog.at_level(logging.WARNING):
        path = Flights(folder, "gpu0").write(recording())
    assert path == folder / "gpu0-20250101T000000Z-out_of_memory.json.gz"
    assert Recording.unpack(path.read_bytes()) == recording()
    assert names(folder) == [path.name]
    assert [record.getMessage() for record in caplog.records] == [
        f"out_of_memory: the last minutes of the GPU are in {path} (no more)"
    ]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_newest_are_kept(tmp_path: Path) -> None:
    files = Flights(tmp_path, "gpu0")
    written = [files.write(recording(number)) for number in range(FILES_MAX + 5)]
    assert names(tmp_path) == [path.name for path in written[5:] if path is not None]


def test_a_failure_that_comes_back_does_not_drive_out_one_that_came_once(tmp_path: Path) -> None:
    files = Flights(tmp_path, "gpu0")
    files.write(recording(0, "out_of_memory"))
    for number in range(1, 100):
        files.write(recording(number, "load_vlm_failed"))
    kept = names(tmp_path)
    assert len(kept) == FILES_MAX
    assert kept[0] == "gpu0-20250101T000000Z-out_of_memory.json.gz"
    assert kept[-1].startswith("gpu0-20250101T0139")


def test_what_is_not_the_tracks_own_is_left_alone(tmp_path: Path) -> None:
    others = ["gpu0-notes.txt", "gpu01-20250101T000000Z-out_of_memory.json.gz", "x-gpu0-20250101T000000Z-a.json.gz"]
    for name in others:
        (tmp_path / name).touch()
    files = Flights(tmp_path, "gpu0")
    for number in range(FILES_MAX + 3):
        files.write(recording(number))
    assert set(others) <= set(names(tmp_path))
    assert len(names(tmp_path)) == FILES_MAX + len(others)


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    files = Flights(tmp_path, "gpu0")
    files.write(recording())
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full)
        assert files.write(recording(1)) is None
    assert names(tmp_path) == [recording().file_name]


def test_what_a_killed_worker_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".gpu0.part").write_bytes(b"half")
    assert Flights(tmp_path, "gpu0").write(recording()) is not None
    assert names(tmp_path) == [recording().file_name]


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wall = tmp_path / "wall"
    wall.touch()
    files = Flights(wall / "flights", "gpu0")
    with caplog.at_level(logging.WARNING):
        assert [files.write(recording(number)) for number in range(3)] == [None] * 3
        (told,) = caplog.records
        assert "SINGLETRACK_FLIGHT_DIR" in told.getMessage()
        assert str(wall) in told.getMessage()
        wall.unlink()
        assert files.write(recording()) is not None


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(flights, "default_flight_folder", homeless)
    assert Flights(None, "gpu0").write(recording()) is None
    assert "home directory" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a place of its own")
def test_the_default_is_the_users_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_flight_folder() == tmp_path / "singletrack" / "flights"
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    assert default_flight_folder() == tmp_path / ".local" / "state" / "singletrack" / "flights"
