"""What happened in a run: one line of JSON for each thing, written by every process of it into one file.

All times are nanoseconds of the monotonic clock, which Linux keeps for the whole system.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# How the name of an error begins that is none of those that a caller may be told.
UNTYPED = "untyped"


def now_ns() -> int:
    """Tell the time that all processes of a run share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclass(frozen=True)
class Begin:
    """An operation has the GPU; `token` is 0 where the worker has none."""

    at_ns: int
    job: str
    kind: str
    token: int
    host: str
    pid: int


@dataclass(frozen=True)
class End:
    """It gives the GPU back; `error` names what it raised."""

    at_ns: int
    job: str
    pid: int
    error: str = ""


@dataclass(frozen=True)
class Published:
    """A worker's result lies in Redis; `at_ns` is when it was about to write it."""

    at_ns: int
    job: str
    token: int
    host: str
    pid: int
    state: str
    digest: str


@dataclass(frozen=True)
class Accepted:
    """A client's `submit` returned; `sent_ns` is when the first try of it began, `deadline_ns` the latest it can be."""

    at_ns: int
    sent_ns: int
    client: str
    number: int
    job: str
    kind: str
    deadline_ns: int


@dataclass(frozen=True)
class Refused:
    """A client's `submit` raised."""

    at_ns: int
    client: str
    number: int
    error: str


@dataclass(frozen=True)
class Cancelled:
    """A client called a job off, and Redis has it."""

    at_ns: int
    job: str


@dataclass(frozen=True)
class Outcome:
    """What a client was told of a job: a result, known by its digest, or an error, known by its name."""

    at_ns: int
    client: str
    job: str
    error: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Final:
    """What lay in Redis of a job when all was over."""

    job: str
    state: str
    digest: str


@dataclass(frozen=True)
class Fault:
    """The driver did something bad, `trials` times at once."""

    at_ns: int
    number: int
    kind: str
    trials: int = 1


@dataclass(frozen=True)
class Recovered:
    """The first operation that began and ended after a fault ended at `at_ns`."""

    at_ns: int
    fault: int


@dataclass(frozen=True)
class Ready:
    """A process that the driver keeps running was started."""

    at_ns: int
    pid: int
    host: str


@dataclass(frozen=True)
class Died:
    """A process ended."""

    at_ns: int
    pid: int
    status: int


# Stands for Redis where a process is named; the ids of its processes are of no use to anybody.
REDIS = 0


@dataclass(frozen=True)
class Paused:
    """A process is about to be stopped by SIGSTOP, or `REDIS` to be killed."""

    at_ns: int
    pid: int


@dataclass(frozen=True)
class Resumed:
    """It goes on, or is back."""

    at_ns: int
    pid: int


@dataclass(frozen=True)
class TakenAway:
    """Redis lost messages between the two times, or `everything`."""

    at_ns: int
    until_ns: int
    everything: bool


@dataclass(frozen=True)
class LockedOut:
    """Redis refused everybody between the two times."""

    at_ns: int
    until_ns: int


@dataclass(frozen=True)
class Stepped:
    """The clock of Redis was set by so much."""

    at_ns: int
    by_s: int


@dataclass(frozen=True)
class HeldBack:
    """A job that may be what its workers die of was moved behind others, or waits alone."""

    at_ns: int
    job: str


@dataclass(frozen=True)
class Noticed:
    """Something that the driver saw itself, and that must not be."""

    at_ns: int
    kind: str
    text: str


Record = (
    Begin
    | End
    | Published
    | Accepted
    | Refused
    | Cancelled
    | Outcome
    | Final
    | Fault
    | Recovered
    | Ready
    | Died
    | Paused
    | Resumed
    | TakenAway
    | LockedOut
    | Stepped
    | HeldBack
    | Noticed
)
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Begin,
        End,
        Published,
        Accepted,
        Refused,
        Cancelled,
        Outcome,
        Final,
        Fault,
        Recovered,
        Ready,
        Died,
        Paused,
        Resumed,
        TakenAway,
        LockedOut,
        Stepped,
        HeldBack,
        Noticed,
    )
}


class Journal:
    """Appends to the file of a run, also beside other processes; what it has noted survives a kill."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, record: Record) -> None:
        """Write one record, in one call to the system."""
        line = json.dumps({"what": type(record).__name__, **asdict(record)})
        # It begins with a new line as well: what a killed process left half written spoils no other record.
        os.write(self._file, f"\n{line}\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Tail:
    """Reads a run's file as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> list[Record]:
        """Give the records that came since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return list(_records(whole))


def read(path: Path) -> list[Record]:
    """Read all records of a run."""
    return Tail(path).new()


def _records(data: bytes) -> Iterator[Record]:
    for line in data.splitlines():
        if not line:
            continue
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # half a line, by a process that was killed while it wrote
        yield KINDS[fields.pop("what")](**fields)
