"""A worker's lock on its GPU, held by the kernel: it outlasts a pause of the worker, but not its death."""

import contextlib
import errno
import json
import logging
import os
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from singletrack_tasks.errors import InvalidConfiguration

# A service manager reads this as 'try again later' (EX_TEMPFAIL in sysexits.h).
EX_HELD = 75
# The folder that the compose file mounts: where it exists, workers in containers have their locks there.
_SHARED_FOLDER = Path("/var/lib/singletrack-lock")
_SYSTEM_FOLDER = Path("/run/lock")
# Windows denies others access to locked bytes, so the lock lies far beyond the file's content.
_LOCKED_BYTE = 1 << 30
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger(__name__)


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
    """What a lock file holds: its identity, the newest token its owners were given, and its present owner."""

    lock_id: str
    token: int = 0
    holder: Holder | None = None


class LockLost(Exception):
    """The file of a held lock was replaced, and another worker has the new one."""

    def __init__(self, path: Path, holder: Holder) -> None:
        super().__init__(f"the lock {path} was removed while it was held, and {holder} has the new one")
        self.holder = holder


class HostLock:
    """An exclusive lock on a file, `flock` (`msvcrt.locking` on Windows).

    `id` belongs to the file, whoever owns the lock: a lease that an earlier owner took under this id is free for the
    next one.
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
        """The newest token that was noted in the file."""
        return self._content.token

    def take(self) -> Holder | None:
        """Take the lock; returns None on success, else its holder. Raises `InvalidConfiguration`."""
        with self._usable():
            file = _open_locked(self.path)
            if isinstance(file, Holder):
                return file
            self._own(file)
        return None

    def keep(self) -> None:
        """See to it that the file at the path is the one that is locked: a cleaner of folders may have removed it.

        Raises `LockLost` if another worker has the one there, `InvalidConfiguration` if none can be made.
        """
        if self._file is None:
            return
        with self._usable():
            if _is_at(self.path, self._file):
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = _open_locked(self.path)
            if isinstance(file, Holder):
                raise LockLost(self.path, file)
            self._own(file, lock_id=self.id)
        _log.warning("the lock %s was removed while it was held: it was made and locked again", self.path)

    def note_token(self, token: int) -> None:
        """Keep a token in the file: the next one will be larger even if Redis loses its data.

        Raises `InvalidConfiguration` if it cannot be written.
        """
        with self._usable():
            self._write(token=token)

    def release(self) -> None:
        """Release the lock; harmless when repeated."""
        if self._file is not None:
            try:
                self._write(holder=None)
            except OSError as error:
                _log.warning("the lock %s is released with its holder in it: %s", self.path, error.strerror)
            os.close(self._file)
            self._file = None

    def _own(self, file: int, **changes: Any) -> None:
        """Take a locked file for the lock's own, in place of an earlier one; raises `OSError` and changes nothing."""
        former, known = self._file, self._content
        try:
            self._content = _read(file) or known
            self._file = file
            self._write(holder=Holder.this_process(), token=max(known.token, self._content.token), **changes)
        except OSError:
            self._file, self._content = former, known
            os.close(file)
            raise
        if former is not None:
            os.close(former)

    def _write(self, **changes: Any) -> None:
        if self._file is None:
            return
        self._content = self._content.model_copy(update=changes)
        data = self._content.model_dump_json().encode()
        os.lseek(self._file, 0, os.SEEK_SET)
        if os.write(self._file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(self._file, len(data))

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unusable(self.path, error) from error


def lock_path(folder: Path | None, name: str) -> Path:
    """Return the path of a lock file; raises `InvalidConfiguration` if its folder cannot be made."""
    where = folder or _default_folder()
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(where, error) from error
    # Older drivers name a MIG instance by a path.
    return where / f"singletrack-{name.replace('/', '-')}.lock"


def track_name(redis_url: str, track: str) -> str:
    """Name the lock of a track without a GPU; the same track on another Redis server gets another name."""
    # The same server, whoever logs in.
    address = redis_url.rpartition("@")[2]
    return f"track-{sha256(f'{address} {track}'.encode()).hexdigest()[:16]}"


def _default_folder() -> Path:
    if _SHARED_FOLDER.is_dir():
        # Also if it cannot be written: a lock elsewhere would keep no worker in a container away from the GPU.
        return _SHARED_FOLDER
    if _SYSTEM_FOLDER.is_dir() and os.access(_SYSTEM_FOLDER, os.W_OK):
        return _SYSTEM_FOLDER
    return Path(tempfile.gettempdir())


def _open_locked(path: Path) -> int | Holder:
    """Return the file at the path, locked, or who has it locked."""
    while True:
        file = _open(path)
        try:
            if not _lock(file):
                held = _read(file)
                os.close(file)
                # The owner may have the lock without having written its name yet.
                return held.holder if held and held.holder else Holder(host=socket.gethostname(), pid=0, since_unix_s=0)
            if _is_at(path, file):
                return file
        except OSError:
            os.close(file)
            raise
        # It was replaced after it was opened.
        os.close(file)


def _open(path: Path) -> int:
    try:
        # Without O_CREAT first: in a sticky folder it fails on another user's file.
        return os.open(path, os.O_RDWR)
    except FileNotFoundError:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if sys.platform != "win32":
            # Whatever our umask, workers of other users must be able to open it: they compete for the same GPU.
            os.fchmod(file, 0o666)
        return file


def _is_at(path: Path, file: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file))


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


def _unusable(path: Path, error: OSError) -> InvalidConfiguration:
    free = "Free space there, or set" if error.errno in _FULL else "Set"
    return InvalidConfiguration(
        f"cannot use the lock {path}: {error.strerror}. {free} SINGLETRACK_LOCK_DIR to a folder that every worker on "
        "this host can write to."
    )
