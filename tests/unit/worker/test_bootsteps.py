"""The steps of a worker, with what Celery hands them."""

import itertools
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
    HoldTrack,
    LockHost,
    Manage,
    OneAtATime,
)

pytestmark = pytest.mark.usefixtures("panel")


def controller(pool: ModuleType = thread, concurrency: int = 1, **options: Any) -> Any:
    """What a step sees of Celery's worker."""
    return SimpleNamespace(concurrency=concurrency, pool_cls=pool.TaskPool, options=options)


def test_one_thread_is_accepted_and_no_command_can_change_it() -> None:
    worker = controller()
    OneAtATime(worker)
    assert "error" in Panel.data["pool_grow"](None)
    assert worker.options == {"without_gossip": True, "without_mingle": True}


def test_celerys_own_tasks_are_none_of_those_that_may_be_asked_for() -> None:
    app = Celery("plain", set_as_current=False)
    register(app, lambda: None)
    given: dict[str, Any] = {}
    worker = SimpleNamespace(gpu_redis=None, gpu_lock=None, app=app)
    bootsteps._tenure(lambda *_, **options: given.update(options), worker, SimpleNamespace(standby=False))  # type: ignore[arg-type] # all that it reads
    assert app.tasks.keys() > given["tasks"]
    assert {name.partition(".")[0] for name in given["tasks"]} == {"gpu"}
    celerys = {name for name in app.tasks if name.startswith("celery.")}
    assert len(celerys) >= 9
    assert celerys.isdisjoint(given["tasks"])


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
