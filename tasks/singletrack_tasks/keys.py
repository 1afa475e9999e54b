"""Every Redis key of a track, in one table."""

import re
from dataclasses import dataclass

from singletrack_tasks.errors import InvalidConfiguration

BLOB_TTL_S = 900
VECTOR_TTL_S = 24 * 3600
CANCEL_TTL_S = 3600
STATUS_TTL_S = 24 * 3600
STATE_TTL_S = 90 * 24 * 3600
EVENTS_TTL_S = 7 * 24 * 3600
EVENTS_MAX = 10_000
RESULT_TTL_S = 3600

QUEUE = "gpu"
_TRACK = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class KeySpec:
    """One row of the table: what the key holds, what bounds it, and who writes it."""

    pattern: str
    holds: str
    bound: str
    writer: str


TABLE = (
    KeySpec("blob:{sha256}", "the bytes of an image", f"{BLOB_TTL_S} s", "client"),
    KeySpec("vector:{fingerprint}:{sha256}", "one embedding, float32", f"{VECTOR_TTL_S} s", "worker"),
    KeySpec("cancel:{job}", "a job that its caller gave up", f"{CANCEL_TTL_S} s", "client"),
    KeySpec("status", "the last status snapshot, JSON", f"{STATUS_TTL_S} s", "worker"),
    KeySpec("state", "mode, last use of the VLM, footprints: a hash", f"{STATE_TTL_S} s", "worker"),
    KeySpec("events", "the event stream", f"{EVENTS_MAX} entries, {EVENTS_TTL_S} s", "worker"),
    KeySpec("celery-task-meta-{job}", "a job's result", f"{RESULT_TTL_S} s", "Celery"),
    KeySpec(QUEUE, "the queue, a list", "gone when empty", "Celery"),
    KeySpec("unacked*", "messages that a worker holds", "gone when empty", "Celery"),
    KeySpec("_kombu.binding*", "the queues there are", "one entry a queue", "Celery"),
    KeySpec("*.pidbox", "remote control", "10 s", "Celery"),
)


@dataclass(frozen=True)
class Keys:
    """The keys of one track; raises `InvalidConfiguration` for a name that cannot be part of a key."""

    track: str

    def __post_init__(self) -> None:
        if not _TRACK.fullmatch(self.track):
            raise InvalidConfiguration(
                f"{self.track!r} is no name for a track: use 1 to 32 of a-z, 0-9 and '-', for example 'gpu0'"
            )

    @property
    def prefix(self) -> str:
        """What every key of the track begins with, those of Celery included."""
        return f"singletrack:{self.track}:"

    @property
    def status(self) -> str:
        """The key of the status snapshot."""
        return f"{self.prefix}status"

    @property
    def state(self) -> str:
        """The key of what survives a worker."""
        return f"{self.prefix}state"

    @property
    def events(self) -> str:
        """The key of the event stream."""
        return f"{self.prefix}events"

    @property
    def queue(self) -> str:
        """The key of the queue."""
        return f"{self.prefix}{QUEUE}"

    def blob(self, sha256: str) -> str:
        """The key of a blob."""
        return f"{self.prefix}blob:{sha256}"

    def vector(self, fingerprint: str, sha256: str) -> str:
        """The key of an embedding in the cache."""
        return f"{self.prefix}vector:{fingerprint}:{sha256}"

    def cancel(self, job_id: str) -> str:
        """The key that marks a job as cancelled."""
        return f"{self.prefix}cancel:{job_id}"
