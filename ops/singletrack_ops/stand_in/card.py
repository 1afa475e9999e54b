"""The memory of a GPU that is not there, shared by processes: who ends gives back what it held, as with a driver.

It is one file, written under a lock. For a check of the checks it can misbehave as drivers and tenants do.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil


@dataclass(frozen=True)
class Misbehaviour:
    """What becomes of the memory of a process that ended.

    `leak_mb` of it (MiB) never come back; the part `late_part` comes back `late_s` seconds later.
    """

    leak_mb: int = 0
    late_part: float = 0.0
    late_s: float = 0.0


@dataclass(frozen=True)
class Holding:
    """What a process holds (MiB), and its name."""

    pid: int
    name: str
    held_mb: int


class SimulatedCard:
    """The memory of one simulated GPU, in a folder; any number of processes may use it at once. Not for Windows."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "card.json"
        self._lock = folder / "card.lock"

    @classmethod
    def make(cls, folder: Path, *, total_mb: int, base_mb: int = 300, misbehaviour: Misbehaviour | None = None) -> Self:
        """Lay an empty card into a folder (MiB); `base_mb` is in use by nobody that can be named."""
        folder.mkdir(parents=True, exist_ok=True)
        card, odd = cls(folder), misbehaviour or Misbehaviour()
        empty = {"total_mb": total_mb, "base_mb": base_mb, "holders": {}, "ghosts": []}
        card._write({**empty, "leak_mb": odd.leak_mb, "late_part": odd.late_part, "late_s": odd.late_s})
        return card

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._file.parent

    @property
    def total_mb(self) -> int:
        """All of its memory (MiB)."""
        with self._opened() as state:
            return int(state["total_mb"])

    @property
    def used_mb(self) -> int:
        """What is in use (MiB)."""
        with self._opened() as state:
            return _used_mb(state)

    @property
    def free_mb(self) -> int:
        """What is free (MiB)."""
        with self._opened() as state:
            return int(state["total_mb"]) - _used_mb(state)

    def holdings(self) -> tuple[Holding, ...]:
        """List the processes that hold memory, by pid."""
        with self._opened() as state:
            held = (Holding(int(pid), it["name"], it["mb"]) for pid, it in state["holders"].items())
            return tuple(sorted(held, key=lambda holding: holding.pid))

    def take(self, name: str, wanted_mb: int) -> int:
        """Take memory for this process, as much as there is; returns what was had (MiB)."""
        with self._opened() as state:
            had_mb = max(0, min(wanted_mb, int(state["total_mb"]) - _used_mb(state)))
            mine = state["holders"].setdefault(str(os.getpid()), {"name": name, "mb": 0})
            mine["mb"] += had_mb
            return had_mb

    def give_back(self) -> None:
        """Give back all that this process holds."""
        with self._opened() as state:
            state["holders"].pop(str(os.getpid()), None)

    @contextmanager
    def _opened(self) -> Iterator[dict[str, Any]]:
        """Have the state for oneself; what changed of it is written."""
        import fcntl  # does not exist on Windows

        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it if this process dies
            text = self._file.read_text(encoding="utf-8")
            state: dict[str, Any] = json.loads(text)
            _bury(state)
            yield state
            if json.dumps(state) != text:
                self._write(state)

    def _write(self, state: dict[str, Any]) -> None:
        # In one step: whoever writes may be killed at any moment.
        part = self._file.with_name(f".card.{os.getpid()}")
        part.write_text(json.dumps(state), encoding="utf-8")
        part.replace(self._file)


def _used_mb(state: dict[str, Any]) -> int:
    held_mb: int = sum(it["mb"] for it in state["holders"].values())
    lost_mb: int = sum(mb for mb, _ in state["ghosts"])
    return min(int(state["total_mb"]), int(state["base_mb"]) + held_mb + lost_mb)


def _bury(state: dict[str, Any]) -> None:
    """Take processes that ended off the list, and keep of their memory what does not come back at once."""
    now_s = time.monotonic()
    state["ghosts"] = [[mb, due_s] for mb, due_s in state["ghosts"] if due_s is None or due_s > now_s]
    for pid in [pid for pid in state["holders"] if not _runs(int(pid))]:
        held_mb = state["holders"].pop(pid)["mb"]
        leak_mb, late_mb = min(held_mb, state["leak_mb"]), int(held_mb * state["late_part"])
        state["ghosts"] += [[leak_mb, None]] if leak_mb else []
        state["ghosts"] += [[late_mb, now_s + state["late_s"]]] if late_mb else []


def _runs(pid: int) -> bool:
    """Whether a process lives; one that nobody has waited for yet has given its memory back already."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
