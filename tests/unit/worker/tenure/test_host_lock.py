"""The lock of a GPU on its host, between processes as they are."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_worker.tenure import host_lock
from singletrack_worker.tenure.host_lock import Holder, HostLock, LockLost, lock_path, track_name
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


posix_only = pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")


@posix_only
@pytest.mark.parametrize("take_away", [Path.unlink, lambda path: shutil.rmtree(path.parent)])
def test_a_file_that_is_removed_while_it_is_held_is_made_again(path: Path, take_away: Callable[[Path], None]) -> None:
    lock = HostLock(path)
    assert lock.take() is None
    lock.note_token(7)
    lock.keep()
    before = path.stat().st_ino, lock.id
    take_away(path)
    lock.keep()
    other = HostLock(path)
    assert other.take() is not None
    lock.release()
    assert other.take() is None
    assert (other.id, other.token) == (before[1], 7)


@posix_only
def test_a_file_that_was_replaced_and_that_nobody_has_is_taken(path: Path) -> None:
    lock = HostLock(path)
    assert lock.take() is None
    path.unlink()
    other = HostLock(path)
    other.take()
    other.note_token(9)
    other.release()
    lock.keep()
    assert HostLock(path).take() is not None
    assert lock.token == 9
    assert lock.id != other.id


@posix_only
def test_a_file_that_was_replaced_and_that_another_has_is_lost(path: Path) -> None:
    lock, other = HostLock(path), HostLock(path)
    assert lock.take() is None
    path.unlink()
    assert other.take() is None
    for _ in range(2):
        with pytest.raises(LockLost, match=f"process {os.getpid()}"):
            lock.keep()
    lock.release()
    assert HostLock(path).take() is not None


@posix_only
def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def open_too_early(file: Path) -> int:
        opened.append(open_file(file))
        if len(opened) == 1:
            file.unlink()
        return opened[-1]

    open_file = host_lock._open
    monkeypatch.setattr(host_lock, "_open", open_too_early)
    assert HostLock(path).take() is None
    monkeypatch.undo()
    assert len(opened) == 2
    assert HostLock(path).take() is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_as_a_folder_is_that_cannot_be_used(path: Path) -> None:
    path.symlink_to("/dev/full")
    lock = HostLock(path)
    for _ in range(2):
        with pytest.raises(InvalidConfiguration, match=r"No space left .* Free space .*SINGLETRACK_LOCK_DIR"):
            lock.take()
    path.unlink()
    assert lock.take() is None
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(InvalidConfiguration, match="No space left"):
        lock.keep()
    path.unlink()
    lock.keep()
    assert HostLock(path).take() is not None


def test_a_lock_is_released_whatever_the_disk_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = HostLock(path)
    assert lock.take() is None

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", broken)
        with pytest.raises(InvalidConfiguration, match=r"Input/output error\. Set SINGLETRACK_LOCK_DIR"):
            lock.note_token(1)
        lock.release()
    assert HostLock(path).take() is None


def test_a_write_that_is_cut_short_is_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = HostLock(path)
    assert lock.take() is None
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", lambda file, data: 1)
        with pytest.raises(InvalidConfiguration, match="No space left"):
            lock.note_token(1)


def test_a_mig_instance_that_is_named_by_a_path_has_a_file_of_its_own(tmp_path: Path) -> None:
    assert lock_path(tmp_path, "MIG-GPU-1/2/0") == tmp_path / "singletrack-MIG-GPU-1-2-0.lock"


def test_the_folder_of_the_containers_is_the_default_where_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setattr(host_lock, "_SHARED_FOLDER", shared)
    assert lock_path(None, "GPU-1").parent != shared
    shared.mkdir()
    assert lock_path(None, "GPU-1").parent == shared


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_of_the_containers_that_cannot_be_written_is_no_reason_to_lock_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o555)
    monkeypatch.setattr(host_lock, "_SHARED_FOLDER", shared)
    with pytest.raises(InvalidConfiguration, match="SINGLETRACK_LOCK_DIR"):
        HostLock(lock_path(None, "GPU-1")).take()
