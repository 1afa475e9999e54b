"""The lock of a GPU on its host, between processes as they are."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_worker.tenure.host_lock import Holder, HostLock, lock_path, track_name
from tests.integration.ops.waiting import wait_for

HOLDER = """
import sys, threading
from pathlib import Path
from singletrack_worker.tenure.host_lock import HostLock
lock = HostLock(Path(sys.argv[1]))
assert lock.take() is None
lock.note_token(41)
print("held", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return lock_path(tmp_path / "locks", "GPU-1")


@pytest.fixture
def other(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the lock."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_has_it_and_the_other_is_told_who(path: Path, other: "subprocess.Popen[str]") -> None:
    holder = HostLock(path).take()
    assert holder is not None
    assert holder.pid == other.pid
    assert str(other.pid) in str(holder)
    assert holder.host in str(holder)
    assert holder.since_unix_s > 1e9


@pytest.mark.skipif(sys.platform == "win32", reason="processes are paused as POSIX has it")
def test_a_holder_that_is_paused_still_has_it(path: Path, other: "subprocess.Popen[str]") -> None:
    other.send_signal(signal.SIGSTOP)
    assert HostLock(path).take() is not None


def test_a_dead_holder_has_nothing_and_leaves_the_identity_and_the_token(
    path: Path, other: "subprocess.Popen[str]"
) -> None:
    other.kill()
    lock = HostLock(path)
    wait_for(lambda: lock.take() is None, "the lock is free")
    assert lock.token == 41
    again = HostLock(path)
    assert again.take() is not None
    lock.release()
    assert again.take() is None
    assert again.id == lock.id


def test_releasing_again_does_nothing(path: Path) -> None:
    lock = HostLock(path)
    assert lock.take() is None
    lock.release()
    lock.release()
    lock.note_token(5)
    other = HostLock(path)
    assert other.take() is None
    assert other.token == 0


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[1, 2", b'{"lock_id": 5}', b"\xff" * 5000])
def test_a_file_that_cannot_be_read_is_written_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    lock = HostLock(path)
    assert lock.take() is None
    lock.note_token(3)
    found = HostLock(path).take()
    assert isinstance(found, Holder)
    assert found.pid == os.getpid()


def test_workers_of_other_users_can_use_the_file(path: Path) -> None:
    earlier = os.umask(0o077)
    try:
        HostLock(path).take()
    finally:
        os.umask(earlier)
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o666


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InvalidConfiguration, match="SINGLETRACK_LOCK_DIR"):
        lock_path(file / "locks", "GPU-1")
    with pytest.raises(InvalidConfiguration, match="SINGLETRACK_LOCK_DIR"):
        HostLock(tmp_path).take()


def test_a_track_is_itself_on_one_server_whoever_logs_in() -> None:
    ours = track_name("redis://:secret@host:6379/0", "gpu0")
    assert ours == track_name("redis://user:other@host:6379/0", "gpu0")
    assert ours != track_name("redis://:secret@host:6379/1", "gpu0")
    assert ours != track_name("redis://:secret@host:6379/0", "gpu1")
    assert "secret" not in ours
