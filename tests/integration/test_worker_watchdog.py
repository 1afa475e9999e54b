"""A worker whose threads cannot run: it ends, and the job at which it froze is not tried again."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from singletrack_tasks import errors
from singletrack_tasks.requests.ping import Ping
from tests.integration.app_site import LIMIT_S, AppSite
from tests.integration.freezing_worker import BURNS, CPU_S, SLEEPS, SLEPT
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import past

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processor time is counted as POSIX has it")


@pytest.fixture
def site(tmp_path: Path, redis_url: str) -> Iterator[AppSite]:
    made = AppSite(tmp_path, redis_url, "tests.integration.freezing_worker")
    yield made
    made.close()


def test_what_freezes_its_worker_is_put_aside_the_first_time(site: AppSite) -> None:
    worker = site.worker()
    job = site.client.submit(Ping(), job_id=BURNS, timeout_s=LIMIT_S)
    behind = site.client.submit(Ping(), timeout_s=LIMIT_S)
    assert worker.wait(LIMIT_S) == -signal.SIGPROF
    following = site.worker()
    with pytest.raises(errors.DeadLettered, match="froze its worker") as told:
        job.result()
    assert behind.result().track == site.track
    (kept,) = site.left("traceback")
    assert str(kept) in str(told.value)
    assert "in freeze" in kept.read_text()
    ((letter_id, letter),) = site.client.dead_letters()
    assert (letter.code, letter.job_id, letter.starts) == ("frozen", BURNS, 1)
    site.client.drop_dead(letter_id)
    following.ask_to_end()
    assert following.wait(LIMIT_S) == 0
    assert site.left("watch") == []


def test_what_keeps_the_threads_without_the_processor_ends_its_worker_but_is_tried_again(site: AppSite) -> None:
    slept = {SLEPT: str(site.folder / "slept")}
    worker = site.worker(FREEZING_WORKER_STUCK_S="15", **slept)
    job = site.client.submit(Ping(), job_id=SLEEPS, timeout_s=LIMIT_S)
    assert worker.wait(LIMIT_S) == 1
    site.worker(**slept)
    assert job.result().track == site.track
    (kept,) = site.left("traceback")
    assert "in freeze" in kept.read_text()


def test_a_worker_that_was_stopped_goes_on(site: AppSite) -> None:
    worker = site.worker()
    process = psutil.Process(worker.pid)
    os.kill(worker.pid, signal.SIGSTOP)
    wait_for(lambda: process.status() == psutil.STATUS_STOPPED, "it is stopped", LIMIT_S)
    past(CPU_S * 4)
    os.kill(worker.pid, signal.SIGCONT)
    assert site.client.submit(Ping(), timeout_s=LIMIT_S).result().track == site.track
    assert worker.alive


def test_a_worker_that_is_killed_leaves_nobody_to_blame(site: AppSite) -> None:
    worker = site.worker()
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(LIMIT_S)
    assert len(site.left("watch")) == 1
    site.worker()
    assert site.client.submit(Ping(), timeout_s=LIMIT_S).result().track == site.track
    assert site.left("traceback") == []
