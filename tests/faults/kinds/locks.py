"""The lock's file goes, or cannot be written."""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.faults.kinds.kind import TOLD_S, Kind, must_be_answered
from tests.faults.world import World, moments

EX_HELD = 75
_TAKEOVER_S = 90.0
_END_S = 20.0
_CHATTR = "chattr"
_UNUSABLE = "cannot use the lock"


def lock_lost(world: World, rng: random.Random) -> None:
    """The lock's file is removed while it is held: the worker makes it again."""
    moments(rng, 0.5)
    paths = _locks(world)
    world.begin_fault("lock-lost")
    pid = world.keeper.pid
    for path in paths:
        path.unlink()
    if not world.watch.wait(lambda: all(path.is_file() for path in paths) or world.keeper.pid != pid, TOLD_S):
        world.notice("lock", "the lock's file was removed and not made again")
    must_be_answered(world, "the loss of the lock's file")


def lock_taken(world: World, rng: random.Random) -> None:
    """The lock's file is removed under a paused worker, and another one on the host has the new one."""
    fault = world.begin_fault("lock-taken")
    pid = world.keeper.pause()
    for path in _locks(world):
        path.unlink()
    # It sees the lease of the first only, as one on another host does.
    other = world.keep_worker("b", SINGLETRACK_LOCK_DIR=str(world.locks()))
    if not world.watch.wait(lambda: world.watch.done_since(fault.at_ns, "b") is not None, _TAKEOVER_S):
        world.notice("not taken over", f"nobody took over from a paused worker in {_TAKEOVER_S:.0f} s")
    world.keeper.resume()
    if not world.watch.wait(lambda: world.keeper.status_of(pid) is not None, TOLD_S):
        world.notice("lock", "a worker whose lock another one has goes on")
    elif world.keeper.status_of(pid) != EX_HELD:
        world.notice("lock", f"a worker whose lock another one has ended with {world.keeper.status_of(pid)}")
    if other.end(_END_S) is None:
        world.notice("hung", "the other worker did not end")


def lock_unwritable(world: World, rng: random.Random) -> None:
    """Nobody can write the lock's file for a while: a worker that starts says so, one that serves goes on or ends."""
    name, spoil = rng.choice(_ways())
    killed = rng.random() < 0.6
    moments(rng, 0.3)
    fault = world.begin_fault("lock-unwritable")
    with spoil(world):
        if killed:
            child = world.keeper.child
            world.keeper.kill()
            _must_say_so(world, child.pid, name)
        else:
            time.sleep(rng.choice((rng.uniform(0.5, 4), rng.uniform(8, 12))))
    if not killed and world.watch.done_since(fault.at_ns) is None:
        must_be_answered(world, f"a lock's file that cannot be written ({name})")


KINDS = {
    "lock-lost": Kind(lock_lost, 1),
    "lock-taken": Kind(lock_taken, 0.4),
    "lock-unwritable": Kind(lock_unwritable, 0.7),
}


def _locks(world: World) -> list[Path]:
    return sorted(world.locks().glob("*.lock"))


def _must_say_so(world: World, pid: int, name: str) -> None:
    """The worker that starts now must refuse to, and say why."""

    def said() -> bool:
        started = [child for child in world.keeper.children if child.pid != pid]
        return any(_UNUSABLE in child.log_tail(200) for child in started[-3:])

    if not world.watch.wait(said, TOLD_S):
        world.notice("lock", f"a worker started with a lock's file that cannot be written ({name}), or did not say so")


@contextlib.contextmanager
def _folder_in_its_place(world: World) -> Iterator[None]:
    kept = {path: path.read_bytes() for path in _locks(world)}
    for path in kept:
        path.unlink()
        path.mkdir()
    try:
        yield
    finally:
        for path in kept:
            path.rmdir()


@contextlib.contextmanager
def _immutable(world: World) -> Iterator[None]:
    paths = _locks(world)
    _run(_CHATTR, "+i", *paths)
    try:
        yield
    finally:
        _run(_CHATTR, "-i", *paths)


@contextlib.contextmanager
def _full_disk(world: World) -> Iterator[None]:
    """Lay a tiny disk that is full over the folder, and give the worker the old one back afterwards."""
    folder = world.locks()
    _run("mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=8", "singletrack-faults", folder)
    try:
        with contextlib.suppress(OSError):
            (folder / "ballast").write_bytes(b"x" * 8192)
        yield
    finally:
        # A process that still has a file open there does not keep it.
        _run("umount", "--lazy", folder)


def _ways() -> list[tuple[str, Callable[[World], AbstractContextManager[None]]]]:
    """The ways that this machine has, by what is in the file's way."""
    ways: list[tuple[str, Callable[[World], AbstractContextManager[None]]]] = [("a folder", _folder_in_its_place)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if _works(_CHATTR, "+i", folder):
            _run(_CHATTR, "-i", folder)
            ways.append(("chattr +i", _immutable))
        if _works("mount", "-t", "tmpfs", "-o", "size=4k", "singletrack-faults", folder):
            _run("umount", "--lazy", folder)
            ways.append(("a full disk", _full_disk))
    return ways


def _works(*command: str | Path) -> bool:
    if os.name != "posix" or shutil.which(str(command[0])) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(*command: str | Path) -> None:
    subprocess.run(command, capture_output=True, check=True)
