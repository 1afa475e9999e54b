"""The lock on a GPU that the kernel holds for its worker: also while it is paused, and never longer than it lives."""

import json
import os
import socket
import sys
import tempfile
import time
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from singletrack_tasks.errors import InvalidConfiguration

# What a service manager takes for 'try again later' (EX_TEMPFAIL of sysexits.h).
EX_HELD = 75
_SYSTEM_FOLDER = Path("/run/lock")
# Windows keeps others from reading what is locked: the lock lies far behind what the file holds.
_LOCKED_BYTE = 1 << 30


class Holder(BaseModel):
    """Who holds a lock or a lease."""

    host: str
    pid: int
    since_unix_s: float

    @classmethod
    def this_process(cls) -> "Holder":
        """Describe this process."""
        return cls(host=socket.gethostname(), pid=os.getpid(), since_unix_s=time.time())

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since_unix_s))
        return f"process {self.pid} on {self.host}, since {since}"


class _Content(BaseModel):
    """What a lock's file holds: who has it, whose it is for ever, and the newest token that was given to its owners."""

    lock_id: str
    token: int = 0
    holder: Holder | None = None


class HostLock:
    """An exclusive lock on a file, `flock` (`msvcrt.locking` on Windows).

    `id` is the file's own, whoever holds it: what was held in its name by an earlier owner is free once this one has
    the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._content = _Content(lock_id=uuid.uuid4().hex)

    @property
    def id(self) -> str:
        """The identity of the file."""
        return self._content.lock_id

    @property
    def token(self) -> int:
        """The newest token that was noted here."""
        return self._content.token

    def take(self) -> Holder | None:
        """Take the lock if it is free; returns None then, else who has it. Raises `InvalidConfiguration`."""
        file = _open(self.path)
        if not _lock(file):
            held = _read(file)
            os.close(file)
            # Its owner has the lock a moment before the file says so.
            return held.holder if held and held.holder else Holder(host=socket.gethostname(), pid=0, since_unix_s=0)
        self._file = file
        found = _read(file)
        if found is not None:
            self._content = found
        self._write(holder=Holder.this_process())
        return None

    def note_token(self, token: int) -> None:
        """Keep a token: the next one is larger, whatever Redis has lost meanwhile."""
        self._write(token=token)

    def release(self) -> None:
        """Let go; harmless when repeated."""
        if self._file is not None:
            self._write(holder=None)
            os.close(self._file)
            self._file = None

    def _write(self, **changes: Any) -> None:
        if self._file is None:
            return
        self._content = self._content.model_copy(update=changes)
        data = self._content.model_dump_json().encode()
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, data)
        os.ftruncate(self._file, len(data))


def lock_path(folder: Path | None, name: str) -> Path:
    """The file of a lock; raises `InvalidConfiguration` for a folder that cannot be used."""
    where = folder or _default_folder()
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_folder(where, error) from error
    return where / f"singletrack-{name}.lock"


def track_name(redis_url: str, track: str) -> str:
    """A name for the lock of a track that has no GPU of its own: tracks of other Redis servers are others."""
    # Who logs in there, and how, is no part of what the server is.
    address = redis_url.rpartition("@")[2]
    return f"track-{sha256(f'{address} {track}'.encode()).hexdigest()[:16]}"


def _default_folder() -> Path:
    if _SYSTEM_FOLDER.is_dir() and os.access(_SYSTEM_FOLDER, os.W_OK):
        return _SYSTEM_FOLDER
    return Path(tempfile.gettempdir())


def _open(path: Path) -> int:
    try:
        try:
            # Without O_CREAT first: a sticky folder lets nobody create over another user's file.
            return os.open(path, os.O_RDWR)
        except FileNotFoundError:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if sys.platform != "win32":
                # Workers of other users compete for the same GPU, whatever this one's umask is.
                os.fchmod(file, 0o666)
            return file
    except OSError as error:
        raise _no_folder(path, error) from error


def _lock(file: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> _Content | None:
    os.lseek(file, 0, os.SEEK_SET)
    try:
        return _Content.model_validate(json.loads(os.read(file, 4096)))
    except (ValueError, ValidationError):
        return None


def _no_folder(path: Path, error: OSError) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"the lock {path} cannot be used: {error.strerror}. Set SINGLETRACK_LOCK_DIR to a folder that every worker on "
        "this host may write to."
    )
