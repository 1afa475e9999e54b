"""A worker's tenure on a real Redis: it loses its track, has it back, and ends where it cannot go on."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.gpu import kept_thread
from singletrack_worker.gpu.hold import Overtaken
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.tenure import tenure as module
from singletrack_worker.tenure.host_lock import EX_HELD, HostLock
from singletrack_worker.tenure.lease import Lease
from singletrack_worker.tenure.tenure import EX_HOPELESS, Tenure
from tests.integration.ops.waiting import wait_for
from tests.unit.worker.track import KEYS

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Gpu:
    """Whoever works under the lease; `on_resume` is what comes of it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.on_resume: Callable[[], None] = lambda: None

    def overtaken(self) -> None:
        self.told.append("overtaken")

    def resume(self) -> None:
        self.told.append("resume")
        self.on_resume()


class Bench:
    """A tenure that is kept, and what it has done."""

    def __init__(self, connection: redis.Redis, config: GPUResourceConfig, folder: Path) -> None:
        self.connection = connection
        self.gpu = Gpu()
        self.ended: list[int] = []
        self.lock = HostLock(folder / "here.lock")
        assert self.lock.take() is None
        self.tenure = Tenure(connection, config, self.lock, tasks=set(), standby=False)
        self.rival_lock = HostLock(folder / "there.lock")
        assert self.rival_lock.take() is None
        self.rival = Lease(connection, KEYS, Scripts(connection), self.rival_lock)
        self.troubles: list[str] = []
        self.tenure.troubles.tell(self.troubles.append)

    def keep(self) -> int:
        """Begin and keep; returns the token."""
        self.tenure.begin(lambda: None)
        self.tenure.keep(self.gpu, self.ended.append)
        return self.tenure.token

    def be_overtaken(self) -> None:
        """Let another host take the track, and this worker notice it."""
        self.connection.delete(KEYS.lease)
        assert self.rival.take() is None
        self.look()
        wait_for(lambda: self.gpu.told == ["overtaken"], "it is noticed")

    def look(self) -> None:
        """Have the thread look now."""
        self.tenure._wake.set()


@pytest.fixture
def bench(
    connection: redis.Redis, config: GPUResourceConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    monkeypatch.setattr(kept_thread, "AGAIN_S", 0.01)
    made = Bench(connection, config, tmp_path)
    yield made
    made.tenure.end()
    made.lock.release()
    made.rival_lock.release()


def test_a_worker_that_is_overtaken_breaks_off_and_resumes_once_it_has_the_track_back(bench: Bench) -> None:
    token = bench.keep()
    assert bench.tenure.holds(token) is True
    bench.be_overtaken()
    assert bench.tenure.holds(token) is False
    assert not bench.tenure.inbox.token
    bench.rival.release()
    wait_for(lambda: bench.tenure.inbox.token > token, "messages are taken again")
    assert bench.gpu.told == ["overtaken", "resume"]
    assert bench.tenure.holds(token) is False
    assert bench.tenure.holds(bench.tenure.token) is True


def test_a_lease_in_doubt_is_looked_at_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    token = bench.keep()
    monkeypatch.setattr(bench.tenure._lease, "_sure_until_s", 0.0)
    wait_for(lambda: bench.tenure.holds(token) is True, "it is renewed, long before it is due")


@pytest.mark.parametrize("failure", [RedisUnavailable("away"), RuntimeError("a defect"), Overtaken("overtaken")])
def test_what_fails_when_it_resumes_is_tried_again(bench: Bench, failure: BaseException) -> None:
    bench.keep()
    failed = threading.Event()

    def fail_once() -> None:
        if not failed.is_set():
            failed.set()
            raise failure

    bench.gpu.on_resume = fail_once
    bench.be_overtaken()
    bench.rival.release()
    if isinstance(failure, Overtaken):
        # It is the lease's thread that goes on from there.
        wait_for(failed.is_set, "it resumes")
        bench.connection.set(KEYS.fence, bench.tenure.token + 1000)
        bench.look()
    wait_for(lambda: bool(bench.tenure.inbox.token), "messages are taken again")
    assert bench.ended == []


def test_a_lock_that_cannot_be_written_is_trouble_until_it_can(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    token = bench.keep()
    bench.be_overtaken()
    with monkeypatch.context() as disk:
        disk.setattr(HostLock, "_write", full_disk)
        bench.rival.release()
        wait_for(lambda: bool(bench.troubles), "it is told")
        assert "thread 'lease': InvalidConfiguration: cannot use the lock" in bench.troubles[0]
        assert "Free space there, or set SINGLETRACK_LOCK_DIR" in bench.troubles[0]
        assert bench.tenure.writer.write(("SET", KEYS.status, "{}")), "the status can tell of it"
        assert not bench.tenure.inbox.token
    wait_for(lambda: bench.tenure.inbox.token > token, "messages are taken again")
    wait_for(lambda: bench.troubles[-1] == "", "nothing is wrong any more")
    assert bench.ended == []


def test_a_lock_that_cannot_be_written_for_long_ends_the_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_thread, "HOPELESS_S", 0.05)
    bench.keep()
    bench.be_overtaken()
    monkeypatch.setattr(HostLock, "_write", full_disk)
    bench.rival.release()
    wait_for(lambda: bool(bench.ended), "it is told to end")
    assert bench.ended == [EX_HOPELESS]
    assert EX_HOPELESS not in (0, EX_HELD)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_lock_that_was_removed_is_made_again_at_the_next_look(bench: Bench) -> None:
    bench.keep()
    bench.lock.path.unlink()
    bench.look()
    wait_for(bench.lock.path.exists, "it is there again")
    wait_for(lambda: HostLock(bench.lock.path).take() is not None, "and is locked")
    assert bench.ended == []


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("lost", [False, True])
def test_a_worker_whose_lock_another_has_ends(bench: Bench, lost: bool) -> None:
    bench.keep()
    bench.lock.path.unlink()
    other = HostLock(bench.lock.path)
    assert other.take() is None
    if lost:
        bench.be_overtaken()
    bench.look()
    wait_for(lambda: bool(bench.ended), "it is told to end")
    bench.look()
    bench.rival.release()
    assert bench.ended == [EX_HELD]
    other.release()


def test_a_disk_that_is_full_at_the_start_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostLock, "_write", full_disk)
    with pytest.raises(InvalidConfiguration, match=r"No space left on device\. Free space there, or set"):
        bench.tenure.begin(lambda: None)


def full_disk(self: HostLock, **changes: object) -> None:
    raise FULL
