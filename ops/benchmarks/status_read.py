"""How long reading the status takes while the GPU is busy."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import figures
from singletrack.client import Client
from singletrack.job import JobState
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.ping import Ping

READINGS = 2000
QUEUED = 1000
BUSY_S = 60.0
# More strings than a model can write in that time.
ENDLESS = {"type": "array", "items": {"type": "string"}, "minItems": 100_000}


def run(stack: Stack) -> None:
    """Read it during a question of up to 60 s, with an empty queue and with 1,000 jobs on it."""
    if stack.ollama is None:
        print("  no Ollama on this machine: not measured")
        return
    with stack.client() as client, _busy(client):
        _print(client, "status, a question in flight")
        jobs = [client.submit(Ping(), timeout_s=600) for _ in range(QUEUED)]
        _print(client, f"the same, {QUEUED:,} jobs waiting")
        for job in jobs:
            job.cancel()


@contextmanager
def _busy(client: Client) -> Iterator[None]:
    job = client.submit_ask("Write without an end.", schema=ENDLESS, timeout_s=BUSY_S)
    while job.state is JobState.QUEUED:
        pass
    try:
        yield
        if client.status().operation is None:
            print("  the question ended before the measurement: part of it is of an idle GPU")
    finally:
        job.cancel()


def _print(client: Client, name: str) -> None:
    times_ms = [figures.time_ms(client.status) for _ in range(READINGS)]
    p99_ms = statistics.quantiles(times_ms, n=100)[-1]
    print(f"  {name:32} {figures.summary(times_ms)}   p99 {p99_ms:5.2f} ms")
