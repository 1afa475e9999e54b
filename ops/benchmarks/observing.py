"""What observing a worker costs: status, events, metrics and the flight recorder."""

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from singletrack.client import Client
from singletrack_ops.local.child_process import Child
from singletrack_ops.services import read_status
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.ping import Ping

ROUNDS = 15
BURST = 400
REST_S = 30.0
START_S = 60.0


def run(stack: Stack, folder: Path) -> None:
    """Compare with a worker that cannot be observed, in turn on the same Redis."""
    with stack.client() as seen, _blind_worker(stack, folder) as (worker, blind):
        pairs = ((worker.pid, blind), (stack.worker.pid, seen))
        rates = [[_per_second(pid, client) for pid, client in pairs] for _ in range(ROUNDS)]
        blind_rate, seen_rate = (statistics.median(column) for column in zip(*rates, strict=True))
        cost = statistics.median(1 - ours / theirs for theirs, ours in rates)
        print(f"  {'no-ops, not observed':32} {blind_rate:6.0f} /s   (n = {ROUNDS} x {BURST})")
        print(f"  {'no-ops, observed':32} {seen_rate:6.0f} /s   {cost:.1%} slower in the median of the pairs")
        blind_cpu, seen_cpu = _at_rest(worker.pid, stack.worker.pid)
    print(f"  {'CPU at rest, not observed':32} {blind_cpu:6.2%} of a core over {REST_S:.0f} s")
    print(f"  {'CPU at rest, observed':32} {seen_cpu:6.2%} of a core, {seen_cpu - blind_cpu:+.2%}")


def _per_second(pid: int, client: Client) -> float:
    """How fast a worker works off a backlog of no-ops; it is paused while they are sent, and does them in order."""
    worker = psutil.Process(pid)
    worker.suspend()
    try:
        jobs = [client.submit(Ping(), timeout_s=60) for _ in range(BURST)]
    finally:
        started = time.perf_counter()
        worker.resume()
    jobs[-1].result()
    return BURST / (time.perf_counter() - started)


def _at_rest(*pids: int) -> list[float]:
    """The fraction of a core that each process uses while nothing is asked of it."""
    processes = [psutil.Process(pid) for pid in pids]
    before = [sum(process.cpu_times()[:2]) for process in processes]
    time.sleep(REST_S)
    after = [sum(process.cpu_times()[:2]) for process in processes]
    return [(end - start) / REST_S for start, end in zip(before, after, strict=True)]


@contextmanager
def _blind_worker(stack: Stack, folder: Path) -> Iterator[tuple[Child, Client]]:
    env = dict(stack.worker_env) | {"SINGLETRACK_TRACK": "blind", "SINGLETRACK_METRICS_PORT": "0"}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.blind_worker", "worker", "--loglevel=INFO"]
    with (
        Child.start("blind", command, env=env, cwd=folder, log_path=folder / "blind.log") as worker,
        Client(stack.redis_url, "blind") as client,
    ):
        until_s = time.monotonic() + START_S
        while (status := read_status(client)) is None or status.clip.model is None:
            if time.monotonic() > until_s or not worker.alive:
                raise SystemExit(f"the blind worker did not start:\n{worker.log_tail()}")
            time.sleep(0.1)
        yield worker, client
