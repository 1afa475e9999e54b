"""The steps of a worker, with what Celery hands them."""

import itertools
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.concurrency import prefork, solo, thread
from celery.worker.control import Panel

from singletrack_tasks.celery_tasks import register
from singletrack_worker import bootsteps
from singletrack_worker.bootsteps import (
    BOOTSTEPS,
    REFUSED_COMMANDS,
    HoldTrack,
    LockHost,
    Manage,
    OneAtATime,
    gpu_cancel,
    gpu_record,
)


@pytest.fixture(autouse=True)
def _panel() -> Iterator[None]:
    """The panel is the process's own: what a step takes off it comes back."""
    kept = dict(Panel.data)
    yield
    Panel.data.clear()
    Panel.data.update(kept)


def controller(pool: ModuleType = thread, concurrency: int = 1, **options: Any) -> Any:
    """What a step sees of Celery's worker."""
    return SimpleNamespace(concurrency=concurrency, pool_cls=pool.TaskPool, options=options)


def test_one_thread_is_accepted_and_takes_the_commands_off_that_could_change_it() -> None:
    worker = controller()
    OneAtATime(worker)
    assert not set(REFUSED_COMMANDS) & set(Panel.data)
    assert "ping" in Panel.data
    assert "gpu_cancel" in Panel.data
    assert Panel.data["revoke"].__module__ == "singletrack_worker.bootsteps"
    assert {Panel.data[name].__module__ for name in ("stats", "reserved")} == {"singletrack_worker.sight.flower_stats"}
    assert worker.options == {"without_gossip": True, "without_mingle": True}


def test_celerys_own_tasks_are_none_of_those_that_may_be_asked_for() -> None:
    app = Celery("plain", set_as_current=False)
    register(app, lambda: None)
    given: dict[str, Any] = {}
    worker = SimpleNamespace(gpu_redis=None, gpu_lock=None, app=app)
    bootsteps._tenure(lambda *_, **options: given.update(options), worker, SimpleNamespace(standby=False))  # type: ignore[arg-type] # all that it reads
    assert app.tasks.keys() > given["tasks"]
    assert {name.partition(".")[0] for name in given["tasks"]} == {"gpu"}
    assert {name.partition(".")[0] for name in app.tasks.keys() - given["tasks"]} == {"celery"}


@pytest.mark.parametrize(
    "worker", [controller(solo), controller(prefork), controller(concurrency=2), controller(autoscale=(4, 1))]
)
def test_anything_else_is_refused_with_what_to_write(worker: Any) -> None:
    with pytest.raises(SystemExit, match="runs one operation at a time"):
        OneAtATime(worker)


def test_nothing_is_started_before_what_it_relies_on() -> None:
    assert (OneAtATime, LockHost, HoldTrack, Manage) == BOOTSTEPS
    for earlier, later in itertools.pairwise(BOOTSTEPS):
        assert earlier in (later.requires or ())


def test_stopping_what_never_started_does_nothing() -> None:
    worker = controller()
    steps = [step(worker) for step in (LockHost, HoldTrack, Manage)]
    worker.pool = SimpleNamespace(stop=lambda: None)
    for step in reversed(steps):
        step.stop(worker)
        step.terminate(worker)
    assert (worker.gpu_worker, worker.gpu_tenure, worker.gpu_lock) == (None, None, None)


@pytest.mark.parametrize(
    ("gpu_worker", "told"),
    [
        (None, "is not in flight"),
        (SimpleNamespace(manager=SimpleNamespace(cancel=lambda job_id: False)), "is not in flight"),
        (SimpleNamespace(manager=SimpleNamespace(cancel=lambda job_id: job_id == "job")), "was told to stop"),
    ],
)
def test_cancel_says_what_it_did(gpu_worker: Any, told: str) -> None:
    state = SimpleNamespace(consumer=SimpleNamespace(controller=SimpleNamespace(gpu_worker=gpu_worker)))
    assert gpu_cancel(state, "job") == {"ok": f"job job {told}"}


def test_a_recording_is_asked_for_under_an_id_that_can_be_a_key() -> None:
    asked: list[str] = []
    running = SimpleNamespace(recorder=SimpleNamespace(ask=asked.append))
    state = SimpleNamespace(consumer=SimpleNamespace(controller=SimpleNamespace(gpu_worker=running)))
    assert "ok" in gpu_record(state, "5f0c-1")
    for wrong in ("", "a b", "x" * 65, "a:b", "a\n"):
        assert "error" in gpu_record(state, wrong)
    state.consumer.controller.gpu_worker = None
    assert "error" in gpu_record(state, "5f0c-1")
    assert asked == ["5f0c-1"]
