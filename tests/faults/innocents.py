"""Who is buried when workers are killed from outside while they work: `python -m tests.faults.innocents`."""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from singletrack import Job
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks.errors import DeadLettered
from singletrack_tasks.keys import Keys
from singletrack_tasks.requests.ping import Ping
from tests.faults.killed_worker import KILLER
from tests.integration.app_site import LIMIT_S, AppSite
from tests.integration.ops.waiting import wait_for

PATIENT_S = 3000.0
APP = "tests.faults.killed_worker"


@dataclass(frozen=True)
class Buried:
    """How many jobs were put aside that had no part in it, of how many; and whether the one was that kills."""

    innocents: int
    jobs: int
    killer: bool


def run(folder: Path, redis_url: str, jobs: int, kills: int) -> Buried:
    """Send so many jobs and a killer among them, and kill a worker with a job in hand so often."""
    site = AppSite(folder, redis_url, APP)
    with redis.Redis.from_url(redis_url) as connection, contextlib.closing(site):
        sent = [site.client.submit(Ping(), timeout_s=PATIENT_S) for _ in range(jobs // 2)]
        killer = site.client.submit(Ping(), job_id=KILLER, timeout_s=PATIENT_S)
        sent += [site.client.submit(Ping(), timeout_s=PATIENT_S) for _ in range(jobs - len(sent))]
        begun: dict[str, int] = {}
        for _ in range(kills):
            worker = site.start()
            wait_for(lambda: has_begun(connection, site.track, begun), "a job has begun", LIMIT_S)
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            worker.wait(LIMIT_S)
        serve_until(site, lambda: have_ended(connection, site.track, [killer, *sent]))
        is_dead = [buried(job) for job in (killer, *sent)]
    return Buried(sum(is_dead[1:]), jobs, is_dead[0])


def has_begun(connection: redis.Redis, track: str, begun: dict[str, int]) -> bool:
    """Whether a job is in hand that was started more often than noted, which is noted then."""
    keys = Keys(track)
    token: Any = connection.get(keys.fence)
    if token is None:
        return False
    taken: Any = connection.lrange(keys.taken(token.decode()), 0, 0)
    for message in taken:
        job_id = json.loads(message)["headers"]["id"]
        starts: Any = connection.scard(keys.starts(job_id))
        if starts > begun.get(job_id, 0):
            begun[job_id] = starts
            return True
    return False


def have_ended(connection: redis.Redis, track: str, jobs: list["Job[Any]"]) -> bool:
    """Whether all these jobs have their results."""
    return connection.exists(*(Keys(track).result(job.id) for job in jobs)) == len(jobs)


def serve_until(site: AppSite, is_over: Callable[[], bool]) -> None:
    """Have a worker run that is started again whenever it is gone."""
    workers = [site.start()]

    def is_over_or_gone() -> bool:
        return is_over() or not workers[-1].alive

    while not is_over():
        if not workers[-1].alive:
            workers.append(site.start())
        wait_for(is_over_or_gone, "all jobs have ended", PATIENT_S)


def buried(job: "Job[Any]") -> bool:
    """Whether a job that has ended was put aside."""
    try:
        job.result()
    except DeadLettered:
        return True
    return False


def main() -> int:
    """Run it, and print what came of it; status 1 if the wrong ones were buried."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.innocents", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="singletrack-innocents-"))
    with EmbeddedRedis.start(folder / "redis") as server:
        found = run(folder, server.url, options.jobs, options.kills)
    killer = "was" if found.killer else "was not"
    print(f"{found.innocents} of {found.jobs} innocents were put aside; the killer {killer}")  # noqa: T201
    return int(found.innocents > 0 or not found.killer)


if __name__ == "__main__":
    sys.exit(main())
