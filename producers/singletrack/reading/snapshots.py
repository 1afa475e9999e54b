"""Reads the status that the worker publishes; never waits for the GPU."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from singletrack.wire.link import RedisLink
from singletrack_tasks.errors import InvalidRequest, NoWorker, UnsupportedVersion, WorkerFailure
from singletrack_tasks.queue_survey import Survey
from singletrack_tasks.status import ClipModel, GPUResourceStatus

STALE_AFTER_S = 5.0
_MODEL_GOOD_FOR_S = 10.0
HOW_TO_START = "Start one with `singletrack up` or `celery -A singletrack_worker worker`."


@dataclass(frozen=True)
class Snapshot:
    """A status as it is in Redis, as JSON, and its age in seconds at `now_unix_s`, by Redis's clock."""

    data: Any
    age_s: float
    now_unix_s: float

    @property
    def fresh(self) -> bool:
        """Whether the worker is alive: it publishes every second.

        A status from the future is one from before Redis's clock was set back.
        """
        return abs(self.age_s) <= STALE_AFTER_S

    def parse(self) -> GPUResourceStatus:
        """Read the status; raises `UnsupportedVersion`, or `WorkerFailure` if it is not a valid one."""
        try:
            status = GPUResourceStatus.parse(self.data)
        except UnsupportedVersion:
            raise
        except InvalidRequest as error:
            raise WorkerFailure(
                f"the worker's status cannot be read: {error}. Install the same release of singletrack at both ends."
            ) from error
        return status.model_copy(update={"age_s": max(0.0, self.age_s)})


@dataclass(frozen=True)
class Look:
    """A snapshot, the queue as it was then, how many dead letters there were, and the suspects with their starts."""

    snapshot: Snapshot
    survey: Survey
    dead_letters: int
    suspects: dict[str, int] = field(default_factory=dict)

    def parse(self) -> GPUResourceStatus:
        """Read the status, queue and dead letters included; raises as `Snapshot.parse` does."""
        status = self.snapshot.parse()
        queue = self.survey.status(self.snapshot.now_unix_s, status).model_copy(update={"suspects": self.suspects})
        return status.model_copy(update={"queue": queue, "dead_letters": self.dead_letters})


class SnapshotReader:
    """Reads the snapshots of one track."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    def read(self) -> Snapshot | None:
        """Fetch status and clock in one round trip; None if there has not been a worker.

        Every waiting caller does so once a second: the queue, which is more work for Redis, is left alone.
        """
        return self._fetch()[0]

    def look(self, job_id: str = "") -> Look | None:
        """Fetch the queue and the dead letters in the same round trip; None if there has not been a worker.

        With a `job_id` the first 1000 messages of the queue are searched for that job.
        """
        keys = self._link.keys
        survey_command = Survey.command(keys.queue, job_id)
        snapshot, rest = self._fetch(lambda pipe: pipe.xlen(keys.dead).hgetall(keys.suspects).eval(*survey_command))
        if snapshot is None:
            return None
        dead_letters, suspects, survey = rest
        starts = {job.decode(): int(count) for job, count in suspects.items()}
        return Look(snapshot, Survey.read(survey), dead_letters, starts)

    def status(self, *, stale: bool = False) -> GPUResourceStatus:
        """Read the status.

        Raises `NoWorker` if there is none, or if it is older than 5 s and not asked for with `stale`.
        """
        look = self.look()
        if look is None or not (look.snapshot.fresh or stale):
            raise no_worker(self._link.keys.track, look.snapshot if look else None)
        return look.parse()

    def check_worker(self) -> None:
        """Raise `NoWorker` if there is none."""
        snapshot = self.read()
        if snapshot is None or not snapshot.fresh:
            raise no_worker(self._link.keys.track, snapshot)

    def _fetch(self, also: Callable[[Any], object] = lambda pipe: None) -> tuple[Snapshot | None, list[Any]]:
        """Fetch a snapshot, and the answers to the commands that `also` adds to the pipeline."""
        with self._link.reaching() as client:
            asked_at_s = time.monotonic()
            pipe: Any = client.pipeline(transaction=False)
            pipe.get(self._link.keys.status).time()
            also(pipe)
            text, clock, *rest = pipe.execute()
        now_unix_s = self._link.saw_time(clock, asked_at_s)
        return None if text is None else _snapshot(text, now_unix_s), rest


class ClipModels:
    """Which CLIP the track serves, as the last snapshot says; remembered for ten seconds."""

    def __init__(self, reader: SnapshotReader) -> None:
        self._reader = reader
        # The model, and until when it is good: set in one step, without a lock, which a fork could leave held.
        self._seen: tuple[ClipModel | None, float] = (None, 0.0)

    def known(self) -> ClipModel | None:
        """Return the model, None if no worker has reported one."""
        model, until_s = self._seen
        return model if time.monotonic() < until_s else self.refresh()

    def refresh(self) -> ClipModel | None:
        """Read it again."""
        snapshot = self._reader.read()
        model = snapshot.parse().clip.model if snapshot else None
        # What is not known yet may be known in a moment.
        self._seen = (model, time.monotonic() + _MODEL_GOOD_FOR_S if model else 0.0)
        return model


def no_worker(track: str, snapshot: Snapshot | None, also: str = "") -> NoWorker:
    """Build the error for a track without a worker, saying when it was last seen."""
    seen = "it has never been seen"
    if snapshot is not None:
        ago = f"{snapshot.age_s:.0f} s ago" if snapshot.age_s >= 0 else "before the clock of Redis was set back"
        seen = f"it was last seen {ago}"
    return NoWorker(f"no worker serves the track {track!r}: {seen}. {also}{HOW_TO_START}")


def _snapshot(text: bytes, now_unix_s: float) -> Snapshot:
    try:
        data: Any = json.loads(text)
        age_s = now_unix_s - float(data["taken_unix_s"])
    except (ValueError, KeyError, TypeError) as error:
        raise WorkerFailure("the worker's status in Redis is damaged: restart the worker") from error
    return Snapshot(data, age_s, now_unix_s)
