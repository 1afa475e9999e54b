"""Times actions in milliseconds, and prints a series of times."""

import statistics
import time
from collections.abc import Callable, Sequence


def time_ms(action: Callable[[], object]) -> float:
    """Return how long an action takes, in milliseconds."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def interleaved_ms(actions: Sequence[Callable[[], object]], rounds: int, warm_up: int = 20) -> list[list[float]]:
    """Time several actions in turn, so that changes in the machine's speed affect all of them alike."""
    for _ in range(warm_up):
        for action in actions:
            action()
    rows = [[time_ms(action) for action in actions] for _ in range(rounds)]
    return [list(column) for column in zip(*rows, strict=True)]


def summary(times_ms: Sequence[float]) -> str:
    """The median and the 95th percentile in one line."""
    p95 = statistics.quantiles(times_ms, n=20)[-1]
    return f"p50 {statistics.median(times_ms):6.2f} ms   p95 {p95:6.2f} ms   (n = {len(times_ms)})"
