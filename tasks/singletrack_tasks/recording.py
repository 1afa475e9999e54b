"""Recordings of the flight recorder: the state of the GPU during the last minutes."""

import base64
import gzip
import io
import json
import zlib
from datetime import UTC, datetime
from typing import Self

from pydantic import Field

from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.message import Message
from singletrack_tasks.status import ExecutionMode, GpuInfo, ModelState

RATE_HZ = 2.0
KEPT_S = 600.0
SAMPLES_MAX = int(KEPT_S * RATE_HZ)
MARKS_MAX = 200
# Many times the size of a recording: anything that unpacks to more is rejected.
UNPACKED_BYTES_MAX = 16 * 1024 * 1024
# Track and reason become part of a file name.
_WORD = r"^[A-Za-z0-9_-]{1,64}$"
# The year 9999, the last that `datetime` can represent.
_LATEST_UNIX_S = 253_402_214_400


class GpuProcess(Message):
    """A process with memory on the GPU (MiB, None if the driver does not report it)."""

    pid: int
    name: str
    vram_mb: int | None = None


class Sample(Message):
    """One moment: VRAM in use, each tenant's share of it (MiB, None without a GPU), and what was running.

    `clip_mb` is also None if CLIP is on the GPU and its footprint was never measured.
    """

    at_unix_s: float = Field(ge=0, le=_LATEST_UNIX_S)
    used_mb: int | None = None
    vlm_mb: int | None = None
    clip_mb: int | None = None
    processes: tuple[GpuProcess, ...] = ()
    mode: ExecutionMode
    vlm: ModelState
    clip_device: str
    operation: str | None = None
    stage: str | None = None
    job_id: str | None = None


class RecordedMark(Message):
    """A step of a transition, or a failed operation, that ended between samples (times in seconds).

    `error` is empty on success.
    """

    at_unix_s: float = Field(ge=0, le=_LATEST_UNIX_S)
    what: str
    duration_s: float = Field(ge=0, le=_LATEST_UNIX_S)
    error: str = ""


class Recording(Message):
    """The samples of the last minutes, oldest first, and why the recording was made.

    `reason` is one word, `on_demand` or what failed; `detail` explains it.
    """

    track: str = Field(pattern=_WORD)
    reason: str = Field(pattern=_WORD)
    detail: str = ""
    taken_unix_s: float = Field(ge=0, le=_LATEST_UNIX_S)
    gpu: GpuInfo | None = None
    total_mb: int | None = None
    samples: tuple[Sample, ...] = Field(default=(), max_length=SAMPLES_MAX)
    marks: tuple[RecordedMark, ...] = Field(default=(), max_length=MARKS_MAX)

    @property
    def file_name(self) -> str:
        """The file name of the recording: track, time in UTC and reason."""
        return f"{self.track}-{datetime.fromtimestamp(self.taken_unix_s, UTC):%Y%m%dT%H%M%SZ}-{self.reason}.json.gz"

    def pack(self) -> bytes:
        """Return it as gzipped JSON."""
        return gzip.compress(self.model_dump_json(exclude_defaults=True).encode(), mtime=0)

    def pack_text(self) -> str:
        """Return the packed recording as base64, for channels that carry only text."""
        return base64.b64encode(self.pack()).decode()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a packed recording; raises `InvalidRequest`, and `UnsupportedVersion` for one from another release."""
        try:
            return cls.parse(json.loads(_unzipped(data)))
        except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
            if isinstance(error, InvalidRequest):
                raise
            raise InvalidRequest(f"this is not a singletrack recording: {error}") from error

    @classmethod
    def unpack_text(cls, text: str | bytes) -> Self:
        """Read a recording packed as text; raises the errors of `unpack`."""
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise InvalidRequest(f"this is not a singletrack recording: {error}") from error
        return cls.unpack(data)


def _unzipped(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        read = stream.read(UNPACKED_BYTES_MAX + 1)
    if len(read) > UNPACKED_BYTES_MAX:
        raise InvalidRequest(f"this is not a singletrack recording: it unpacks to more than {UNPACKED_BYTES_MAX} bytes")
    return read
