"""A thread that outlives its errors, and what is told of them."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from singletrack_tasks.result import DegradedCode
from singletrack_worker.gpu import kept_thread
from singletrack_worker.gpu.kept_thread import KeptThread, Troubles
from tests.integration.ops.waiting import wait_for
from tests.unit.gpu.rig import Rig

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_thread, "AGAIN_S", 0.001)


def working(*rounds: Exception | bool) -> Callable[[], bool]:
    """Work that raises and returns as told, in order."""
    left: Iterator[Exception | bool] = iter(rounds)

    def work() -> bool:
        comes = next(left)
        if isinstance(comes, Exception):
            raise comes
        return comes

    return work


def run(thread: KeptThread) -> None:
    thread.start()
    thread._thread.join(PATIENCE_S)
    assert not thread._thread.is_alive()


def test_it_works_until_there_is_nothing_left_to_do() -> None:
    told: list[str] = []
    troubles = Troubles()
    troubles.tell(told.append)
    run(KeptThread("lease", working(True, True, False), troubles))
    assert told == []


def test_an_error_is_told_logged_once_a_kind_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    troubles = Troubles()
    troubles.tell(told.append)
    errors = [RuntimeError("one"), RuntimeError("one"), ValueError("two"), RuntimeError("one")]
    with caplog.at_level(logging.ERROR):
        run(KeptThread("lease", working(*errors, True, RuntimeError("again"), False), troubles))
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError, ValueError]
    one, two = "thread 'lease': RuntimeError: one", "thread 'lease': ValueError: two"
    assert told == [one, two, one, "", "thread 'lease': RuntimeError: again", ""]


def test_several_troubles_are_told_together() -> None:
    told: list[str] = []
    troubles = Troubles()
    troubles.tell(told.append)
    troubles.failed("a", RuntimeError("one"))
    troubles.failed("b", RuntimeError("two"))
    troubles.works("a")
    assert told[1:] == ["a: RuntimeError: one; b: RuntimeError: two", "b: RuntimeError: two"]


def test_an_error_that_comes_back_much_later_is_logged_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = Troubles()
    for _ in range(3):
        troubles.failed("part", RuntimeError("one"))
        with troubles.survived("part"):
            assert troubles
    assert len(caplog.records) == 1
    monkeypatch.setattr(kept_thread, "LOGGED_EVERY_S", 0.0)
    troubles.failed("part", RuntimeError("one"))
    troubles.works("part")
    troubles.failed("part", RuntimeError("one"))
    assert len(caplog.records) == 2


def test_whoever_cannot_be_told_makes_nothing_worse(caplog: pytest.LogCaptureFixture) -> None:
    def deaf(text: str) -> None:
        raise ConnectionError("nobody listens")

    troubles = Troubles()
    troubles.tell(deaf)
    run(KeptThread("status", working(RuntimeError("one"), False), troubles))
    assert "nobody listens" in caplog.text


def test_one_that_only_fails_is_given_up_once_and_goes_on_until_it_is_told_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_thread, "HOPELESS_S", 0.0)
    given_up: list[str] = []
    tries = threading.Semaphore(0)

    def fail() -> bool:
        tries.release()
        raise RuntimeError("always")

    thread = KeptThread("lease", fail, Troubles(), hopeless=lambda: given_up.append("given up"))
    thread.start()
    for _ in range(3):
        assert tries.acquire(timeout=PATIENCE_S)
    thread.end(PATIENCE_S)
    assert not thread._thread.is_alive()
    assert given_up == ["given up"]


def test_trouble_is_a_reason_until_it_is_over() -> None:
    rig = Rig().started()
    before = rig.codes()
    rig.stores.troubles.failed("thread 'lease'", RuntimeError("no such luck"))
    (reason,) = [one for one in rig.manager.status().reasons if one.code is DegradedCode.WORKER_TROUBLE]
    assert "thread 'lease': RuntimeError: no such luck" in reason.message
    rig.stores.troubles.works("thread 'lease'")
    assert rig.codes() == before
    assert rig.kinds()[-2:] == ["degraded", "recovered"]


def test_a_start_that_fails_is_tried_again() -> None:
    rig = Rig()
    load = rig.clip.start
    rig.clip.start = working_once(load)  # type: ignore[method-assign] # a defect in it
    rig.manager.start_in_background()
    wait_for(lambda: rig.clip.model is not None, "it is started again")
    rig.manager.stop()


def working_once(then: Callable[[], None]) -> Callable[[], None]:
    failed: list[bool] = []

    def start() -> None:
        if not failed:
            failed.append(True)
            raise RuntimeError("a defect")
        then()

    return start
