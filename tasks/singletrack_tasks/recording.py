"""The flight recorder's memory: what was on the GPU during the last minutes."""

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
# Many times what a recording takes: what unpacks to more is none.
UNPACKED_BYTES_MAX = 16 * 1024 * 1024
# They become part of a file's name.
_WORD = r"^[A-Za-z0-9_-]{1,64}$"
# The year 9999, the last that a date can have.
_LATEST_UNIX_S = 253_402_214_400


class GpuProcess(Message):
    """A process that has memory on the GPU (MiB, None where the driver does not say)."""

    pid: int
    name: str
    vram_mb: int | None = None


class Sample(Message):
    """One moment: VRAM in use and what the tenants hold of it (MiB, None without a GPU), and what was going on.

    `clip_mb` is None as well where CLIP is on the GPU and its footprint was never measured.
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


class Mark(Message):
    """Something that ended between samples: a step of a transition, or an operation that failed (times in seconds).

    `error` is empty for what went well.
    """

    at_unix_s: float = Field(ge=0, le=_LATEST_UNIX_S)
    what: str
    duration_s: float = Field(ge=0, le=_LATEST_UNIX_S)
    error: str = ""


class Recording(Message):
    """The samples of the last minutes, oldest first, and why they were written down.

    `reason` is one word, `on_demand` or what failed; `detail` says more of it.
    """

    track: str = Field(pattern=_WORD)
    reason: str = Field(pattern=_WORD)
    detail: str = ""
    taken_unix_s: float = Field(ge=0, le=_LATEST_UNIX_S)
    gpu: GpuInfo | None = None
    total_mb: int | None = None
    samples: tuple[Sample, ...] = Field(default=(), max_length=SAMPLES_MAX)
    marks: tuple[Mark, ...] = Field(default=(), max_length=MARKS_MAX)

    @property
    def file_name(self) -> str:
        """What a file of it is called: track, time in UTC and reason."""
        return f"{self.track}-{datetime.fromtimestamp(self.taken_unix_s, UTC):%Y%m%dT%H%M%SZ}-{self.reason}.json.gz"

    def pack(self) -> bytes:
        """Give it as gzipped JSON."""
        return gzip.compress(self.model_dump_json(exclude_defaults=True).encode(), mtime=0)

    def pack_text(self) -> str:
        """Give what `pack` gives as base64, for where only text can go."""
        return base64.b64encode(self.pack()).decode()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read what `pack` gave; raises `InvalidRequest`, and `UnsupportedVersion` for one of another release."""
        try:
            return cls.parse(json.loads(_unzipped(data)))
        except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
            if isinstance(error, InvalidRequest):
                raise
            raise InvalidRequest(f"this is no recording of singletrack: {error}") from error

    @classmethod
    def unpack_text(cls, text: str | bytes) -> Self:
        """Read what `pack_text` gave; raises as `unpack` does."""
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise InvalidRequest(f"this is no recording of singletrack: {error}") from error
        return cls.unpack(data)


def _unzipped(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        read = stream.read(UNPACKED_BYTES_MAX + 1)
    if len(read) > UNPACKED_BYTES_MAX:
        raise InvalidRequest(f"this is no recording of singletrack: it unpacks to more than {UNPACKED_BYTES_MAX} bytes")
    return read
