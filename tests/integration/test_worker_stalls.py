"""A message that the worker has in hand, and that nothing works on: it is put back, and that is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from singletrack_tasks import errors
from singletrack_tasks.events import TaskPutBack
from singletrack_tasks.requests.ping import Ping
from singletrack_tasks.result import DegradedCode
from tests.integration.app_site import LIMIT_S, AppSite
from tests.integration.forgetful_worker import LOST_ALWAYS, LOST_ONCE, UNTOLD_ONCE
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import reason_codes


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[AppSite]:
    folder: Path = tmp_path_factory.mktemp("forgetful")
    made = AppSite(folder, redis_url, "tests.integration.forgetful_worker")
    made.worker()
    yield made
    made.close()


def put_back(site: AppSite, job_id: str) -> int:
    """How often it was told that a job was put back."""
    return sum(isinstance(event, TaskPutBack) and event.job_id == job_id for _, event in site.client.events())


@pytest.mark.parametrize("job_id", [LOST_ONCE, UNTOLD_ONCE])
def test_what_nothing_works_on_is_put_back_and_runs(site: AppSite, job_id: str) -> None:
    job = site.client.submit(Ping(), job_id=job_id, timeout_s=LIMIT_S)
    behind = site.client.submit(Ping(), timeout_s=LIMIT_S)
    assert job.result().track == site.track
    assert behind.result().track == site.track
    assert put_back(site, job_id) == 1


def test_what_is_lost_three_times_is_put_aside_and_others_go_on(site: AppSite) -> None:
    job = site.client.submit(Ping(), job_id=LOST_ALWAYS, timeout_s=LIMIT_S)
    wait_for(lambda: DegradedCode.WORKER_TROUBLE in reason_codes(site.client), "the status tells of it", LIMIT_S)
    behind = site.client.submit(Ping(), timeout_s=LIMIT_S)
    with pytest.raises(errors.DeadLettered, match="started 3 times"):
        job.result()
    assert behind.result().track == site.track
    assert put_back(site, LOST_ALWAYS) == 3
    assert site.client.submit(Ping(), timeout_s=LIMIT_S).result().track == site.track
    wait_for(lambda: DegradedCode.WORKER_TROUBLE not in reason_codes(site.client), "it is over", LIMIT_S)
