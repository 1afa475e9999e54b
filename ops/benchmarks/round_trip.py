"""A no-op through Singletrack against a stock Celery task on the same Redis."""

import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import figures, stock_celery
from singletrack_ops.local.child_process import Child
from singletrack_ops.stack import Stack

ROUNDS = 500


def run(stack: Stack, folder: Path) -> None:
    """Measure; the stock worker has one thread too, and once sends task events, as Flower needs them."""
    os.environ[stock_celery.URL_VARIABLE] = stack.redis_url
    stock_celery.app.conf.update(broker_url=stack.redis_url, result_backend=stack.redis_url)
    for name, options in (("stock Celery, with events", ["-E"]), ("stock Celery, without events", [])):
        with _stock_worker(folder, options), stack.client() as client:
            stock, ours = figures.interleaved_ms(
                [lambda: stock_celery.nothing.delay().get(timeout=30), client.ping], ROUNDS
            )
        ratio = statistics.median(ours) / statistics.median(stock)
        print(f"  {name:32} {figures.summary(stock)}")
        print(f"  {'Singletrack, ping':32} {figures.summary(ours)}   ratio of medians {ratio:.2f}")


@contextmanager
def _stock_worker(folder: Path, options: list[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.stock_celery", "worker"]
    command += ["--pool=threads", "--concurrency=1", "--loglevel=WARNING", "--without-gossip", "--without-mingle"]
    with Child.start("stock", command + options, env=dict(os.environ), log_path=folder / "stock.log"):
        stock_celery.nothing.delay().get(timeout=60)
        yield
