"""Runs code in the child of a fork."""

import multiprocessing
import os
import select
import signal
import traceback
from collections.abc import Callable

LIMIT_S = 120.0

Fork = Callable[[Callable[[], None]], None]


def by_hand(work: Callable[[], None]) -> None:
    """Run `work` in a child of `os.fork`; fails with its traceback, or if it takes too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, _outcome(work)[-60_000:].encode())
        os._exit(0)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], LIMIT_S)
        told = os.read(reader, 65_536).decode() if ready else "the child did not end in time"
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert told == "done", told


def by_multiprocessing(work: Callable[[], None]) -> None:
    """Run `work` in a process that multiprocessing forks."""
    context = multiprocessing.get_context("fork")
    outcomes = context.SimpleQueue()
    child = context.Process(target=lambda: outcomes.put(_outcome(work)))
    child.start()
    child.join(LIMIT_S)
    if child.is_alive():
        child.kill()
        raise AssertionError("the child did not end in time")
    assert not outcomes.empty(), f"the child ended with {child.exitcode}"
    assert outcomes.get() == "done"


def _outcome(work: Callable[[], None]) -> str:
    try:
        work()
    except BaseException:
        return traceback.format_exc()
    return "done"
