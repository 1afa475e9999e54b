"""Checks of arguments, made before anything is decoded or sent."""

import math
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.text import quoted

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 120.0
# What belongs to a job does not live much longer: payloads 25 hours (PAYLOADS_TTL_S), the count of its starts a day.
MAX_TIMEOUT_S = 24 * 3600.0

_JOB_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SINGLE = (str, bytes, bytearray, memoryview, Path, Image.Image, np.ndarray, dict)


def check_seconds(name: str, value: float) -> float:
    """Return a time in seconds, more than 0 and at most a day; raises `InvalidRequest` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{name} must be a number of seconds, not {quoted(value)}")
    if not math.isfinite(value) or not 0 < value <= MAX_TIMEOUT_S:
        raise InvalidRequest(f"{name} must be more than 0 and at most {MAX_TIMEOUT_S:.0f} seconds, not {quoted(value)}")
    return float(value)


def check_job_id(job_id: str) -> str:
    """Return a valid job id; raises `InvalidRequest` for anything else."""
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise InvalidRequest(f"a job_id must be 1 to 64 of A-Z, a-z, 0-9, '_', '-' and '.', not {quoted(job_id)}")
    return job_id


def check_sending(timeout_s: float, job_id: str | None) -> None:
    """Check what a job is sent with; raises `InvalidRequest` for a wrong time-out, or a wrong id where one is given."""
    check_seconds("timeout_s", timeout_s)
    if job_id is not None:
        check_job_id(job_id)


def as_list(things: Iterable[T], what: str, most: int) -> list[T]:
    """Return up to `most` things as a list; raises `InvalidRequest` for a single thing, and for more than `most`."""
    if isinstance(things, _SINGLE) or not isinstance(things, Iterable):
        raise InvalidRequest(f"{what} must be a list, not a single {type(things).__name__}: write [...] around it")
    taken = list(islice(things, most + 1))
    if len(taken) > most:
        raise InvalidRequest(f"one request takes at most {most} {what}: send them in chunks of {most}")
    return taken


def as_filled_list(things: Iterable[T], what: str, most: int) -> list[T]:
    """Return 1 to `most` things as a list; raises `InvalidRequest`."""
    taken = as_list(things, what, most)
    if not taken:
        raise InvalidRequest(f"there are no {what}: send 1 to {most}")
    return taken
