"""Every Redis key of a track, in one table."""

import re
from dataclasses import dataclass

from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.text import quoted

BLOB_TTL_S = 900
# A payload lives at most as long as a job may wait, plus a margin.
PAYLOADS_TTL_S = 25 * 3600
VECTOR_TTL_S = 24 * 3600
CANCEL_TTL_S = 3600
STATUS_TTL_S = 24 * 3600
STATE_TTL_S = 90 * 24 * 3600
EVENTS_TTL_S = 7 * 24 * 3600
EVENTS_MAX = 10_000
RESULT_TTL_S = 3600
LEASE_TTL_S = 15
STARTS_TTL_S = 24 * 3600
DEATHS_MAX = 100
DEAD_TTL_S = 30 * 24 * 3600
DEAD_MAX = 1000
HOLDERS_MAX = 1000
ANSWER_TTL_S = 900
# Pieces of an answer: more than an answer can have tokens.
ANSWER_MAX = 40_000
RECORDING_TTL_S = 120
# A track's limits, in messages and in payload bytes, unless its worker has set others in the hash of limits.
QUEUE_MAX = 10_000
PAYLOAD_BYTES_MAX = 1024**3

# A worker says far more often than this that it uses an Ollama server.
OLLAMA_TRACKS_TTL_S = 60

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
    KeySpec("cancel:{job}", "a job that its caller cancelled", f"{CANCEL_TTL_S} s", "client"),
    KeySpec("status", "the last status snapshot, JSON", f"{STATUS_TTL_S} s", "worker"),
    KeySpec("state", "mode, last use of the VLM, footprints, durations; a hash", f"{STATE_TTL_S} s", "worker"),
    KeySpec("events", "the event stream", f"{EVENTS_MAX} entries, {EVENTS_TTL_S} s", "worker"),
    KeySpec("lease", "who serves the track, JSON", f"{LEASE_TTL_S} s", "worker"),
    KeySpec("fence", "the newest token, which only grows", f"{STATE_TTL_S} s", "worker"),
    KeySpec("holders", "the tokens whose holders may have taken messages, by time", f"{STATE_TTL_S} s", "worker"),
    KeySpec("taken:{token}", "messages that the holder of a token took, a list", "deleted when empty", "worker"),
    KeySpec("starts:{job}", "the starts of a job, a set", f"{STARTS_TTL_S} s", "worker"),
    KeySpec("hands", "the job in hand, by token; a hash", f"{STARTS_TTL_S} s", "worker"),
    KeySpec(
        "deaths",
        "workers that ended without a word, and the job they had in hand, by time",
        f"{DEATHS_MAX} entries, {STARTS_TTL_S} s",
        "worker",
    ),
    KeySpec("suspects", "jobs that wait behind others after so many starts, a hash", f"{STARTS_TTL_S} s", "worker"),
    KeySpec("condemned", "jobs that must not start again, and why; a hash", f"{STARTS_TTL_S} s", "worker"),
    KeySpec("dead", "the dead letters, a stream", f"{DEAD_MAX} entries, {DEAD_TTL_S} s", "worker"),
    KeySpec("limits", "the limits of the queue and the payloads, a hash", f"{STATE_TTL_S} s", "worker"),
    KeySpec("payloads", "the index of payloads, by expiry time", f"{PAYLOADS_TTL_S} s", "client"),
    KeySpec("payload-bytes", "the total size of the payloads", f"{PAYLOADS_TTL_S} s", "client"),
    KeySpec(
        "answer:{job}", "an answer as it is generated, a stream", f"{ANSWER_MAX} entries, {ANSWER_TTL_S} s", "worker"
    ),
    KeySpec(
        "recording:{request}", "the last minutes of the GPU, gzipped JSON as base64", f"{RECORDING_TTL_S} s", "worker"
    ),
    KeySpec("celery-task-meta-{job}", "a job's result", f"{RESULT_TTL_S} s", "worker"),
    KeySpec(QUEUE, "the queue, a list", "deleted when empty", "client"),
    KeySpec("_kombu.binding*", "the existing queues", "one entry a queue", "Celery"),
    KeySpec("*.pidbox", "remote control", "10 s", "Celery"),
)


def ollama_tracks(server: str) -> str:
    """Return the key of the tracks with a GPU that use an Ollama server, a sorted set by the time of their last word.

    It belongs to no track: what follows the prefix is the name of none. It lives for `OLLAMA_TRACKS_TTL_S`.
    """
    return f"singletrack::ollama:{server}"


@dataclass(frozen=True)
class Keys:
    """The keys of one track; raises `InvalidConfiguration` for a name that cannot be part of a key."""

    track: str

    def __post_init__(self) -> None:
        if not _TRACK.fullmatch(self.track):
            raise InvalidConfiguration(
                f"{quoted(self.track)} is not a valid track name: use 1 to 32 of a-z, 0-9 and '-', for example 'gpu0'"
            )

    @property
    def prefix(self) -> str:
        """The prefix of every key of the track, Celery's included."""
        return f"singletrack:{self.track}:"

    @property
    def status(self) -> str:
        """The key of the status snapshot."""
        return f"{self.prefix}status"

    @property
    def state(self) -> str:
        """The key of the state that survives a worker."""
        return f"{self.prefix}state"

    @property
    def events(self) -> str:
        """The key of the event stream."""
        return f"{self.prefix}events"

    @property
    def queue(self) -> str:
        """The key of the queue."""
        return f"{self.prefix}{QUEUE}"

    @property
    def lease(self) -> str:
        """The key of the lease on the track."""
        return f"{self.prefix}lease"

    @property
    def fence(self) -> str:
        """The key of the newest fencing token."""
        return f"{self.prefix}fence"

    @property
    def holders(self) -> str:
        """The key of the tokens whose holders may have taken messages."""
        return f"{self.prefix}holders"

    @property
    def hands(self) -> str:
        """The key of the jobs in hand, by token."""
        return f"{self.prefix}hands"

    @property
    def deaths(self) -> str:
        """The key of the workers that ended without a word."""
        return f"{self.prefix}deaths"

    @property
    def suspects(self) -> str:
        """The key of the jobs that wait behind others since they were started so often without an end."""
        return f"{self.prefix}suspects"

    @property
    def condemned(self) -> str:
        """The key of the jobs that must not start again."""
        return f"{self.prefix}condemned"

    @property
    def dead(self) -> str:
        """The key of the dead letters."""
        return f"{self.prefix}dead"

    @property
    def limits(self) -> str:
        """The key of the limits of the queue and the payloads."""
        return f"{self.prefix}limits"

    @property
    def payloads(self) -> str:
        """The key of the index of payloads."""
        return f"{self.prefix}payloads"

    @property
    def payload_bytes(self) -> str:
        """The key of the total size of the payloads."""
        return f"{self.prefix}payload-bytes"

    def taken(self, token: int | str) -> str:
        """The key of the messages that the holder of a token took."""
        return f"{self.prefix}taken:{token}"

    def starts(self, job_id: str) -> str:
        """The key of the starts of a job."""
        return f"{self.prefix}starts:{job_id}"

    def result(self, job_id: str) -> str:
        """The key of a job's result."""
        return f"{self.prefix}celery-task-meta-{job_id}"

    def blob(self, sha256: str) -> str:
        """The key of a blob."""
        return f"{self.prefix}blob:{sha256}"

    def vector(self, fingerprint: str, sha256: str) -> str:
        """The key of an embedding in the cache."""
        return f"{self.prefix}vector:{fingerprint}:{sha256}"

    def cancel(self, job_id: str) -> str:
        """The key that marks a job as cancelled."""
        return f"{self.prefix}cancel:{job_id}"

    def answer(self, job_id: str) -> str:
        """The key of an answer that is being generated."""
        return f"{self.prefix}answer:{job_id}"

    def recording(self, request_id: str) -> str:
        """The key of a requested recording."""
        return f"{self.prefix}recording:{request_id}"
