"""Spans of time in the samples of a recording."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Generic, TypeVar

from singletrack_tasks.recording import RATE_HZ, Sample

T = TypeVar("T", bound=Hashable)

PERIOD_S = 1 / RATE_HZ
# Between samples that are further apart than this, nothing is known.
GAP_S = 4 * PERIOD_S


@dataclass(frozen=True)
class Span(Generic[T]):
    """A span of time (Unix times, seconds) in which a value stayed the same."""

    value: T
    start_unix_s: float
    end_unix_s: float

    @property
    def duration_s(self) -> float:
        """How long it lasted (seconds)."""
        return self.end_unix_s - self.start_unix_s


def spans(samples: Sequence[Sample], value_of: Callable[[Sample], T | None]) -> list[Span[T]]:
    """Put samples of one value together; None is left out. A sample holds until the next, or for its period."""
    ends = [*(_end(sample, after) for sample, after in pairwise(samples)), *_last_end(samples)]
    found: list[Span[T]] = []
    for sample, end_unix_s in zip(samples, ends, strict=True):
        value = value_of(sample)
        if value is None:
            continue
        last = found[-1] if found else None
        if last is not None and last.value == value and last.end_unix_s == sample.at_unix_s:
            found[-1] = Span(value, last.start_unix_s, end_unix_s)
        else:
            found.append(Span(value, sample.at_unix_s, end_unix_s))
    return found


def total_s(found: Iterable[Span[T]]) -> dict[T, float]:
    """Sum up the time of each value (seconds), the longest first."""
    sums: dict[T, float] = {}
    for span in found:
        sums[span.value] = sums.get(span.value, 0.0) + span.duration_s
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def stretches(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Split samples at the gaps between them."""
    cut = 0
    numbers = []
    for before, after in zip((None, *samples), samples, strict=False):
        cut += before is not None and after.at_unix_s - before.at_unix_s > GAP_S
        numbers.append(cut)
    together = groupby(zip(numbers, samples, strict=True), key=lambda pair: pair[0])
    return [[sample for _, sample in group] for _, group in together]


def _end(sample: Sample, after: Sample) -> float:
    gap_s = after.at_unix_s - sample.at_unix_s
    return after.at_unix_s if 0 <= gap_s <= GAP_S else sample.at_unix_s + PERIOD_S


def _last_end(samples: Sequence[Sample]) -> list[float]:
    return [samples[-1].at_unix_s + PERIOD_S] if samples else []
