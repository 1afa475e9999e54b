"""The flight recorder's memory: what was on the GPU during the last minutes."""

import gzip
import json
import zlib
from typing import Self

from pydantic import Field

from singletrack_tasks.errors import InvalidRequest
from singletrack_tasks.model import Message
from singletrack_tasks.status import ExecutionMode, GpuInfo, ModelState

RATE_HZ = 2.0
KEPT_S = 600.0
SAMPLES_MAX = int(KEPT_S * RATE_HZ)


class GpuProcess(Message):
    """A process that has memory on the GPU (MiB, None where the driver does not say)."""

    pid: int
    name: str
    vram_mb: int | None = None


class Sample(Message):
    """One moment: VRAM in use and what the tenants hold of it (MiB, None without a GPU), and what was going on."""

    at_unix_s: float
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


class Recording(Message):
    """The samples of the last minutes, oldest first, and why they were written down."""

    track: str
    reason: str
    taken_unix_s: float
    gpu: GpuInfo | None = None
    total_mb: int | None = None
    samples: tuple[Sample, ...] = Field(default=(), max_length=SAMPLES_MAX)

    def pack(self) -> bytes:
        """Give it as gzipped JSON."""
        return gzip.compress(self.model_dump_json(exclude_defaults=True).encode(), mtime=0)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read what `pack` gave; raises `InvalidRequest`, and `UnsupportedVersion` for one of another release."""
        try:
            return cls.parse(json.loads(gzip.decompress(data)))
        except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
            if isinstance(error, InvalidRequest):
                raise
            raise InvalidRequest(f"this is no recording of singletrack: {error}") from error
