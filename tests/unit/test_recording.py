"""Recordings as they travel: packed small, and refused when they are none."""

import base64
import gzip
import json
from typing import Any

import pytest
from pydantic import ValidationError

from singletrack_tasks.errors import InvalidRequest, UnsupportedVersion
from singletrack_tasks.recording import SAMPLES_MAX, UNPACKED_BYTES_MAX, GpuProcess, RecordedMark, Recording, Sample
from singletrack_tasks.status import ExecutionMode, GpuInfo, ModelState

SAMPLE = Sample(
    at_unix_s=1_700_000_000.25,
    used_mb=7000,
    vlm_mb=5600,
    clip_mb=0,
    processes=(GpuProcess(pid=7, name="ollama", vram_mb=5700), GpuProcess(pid=8, name="Xorg")),
    mode=ExecutionMode.RECORDING,
    vlm=ModelState.LOADED,
    clip_device="cpu",
    operation="ask",
    stage="generate",
    job_id="j-1",
)


def recording(**fields: Any) -> Recording:
    known: dict[str, Any] = {"track": "gpu0", "reason": "on_demand", "taken_unix_s": 1_700_000_001.0}
    return Recording(**(known | fields))


def zipped(value: Any) -> bytes:
    return gzip.compress(json.dumps(value).encode(), mtime=0)


def test_what_is_packed_comes_back() -> None:
    full = recording(
        detail="promote_clip: CUDA out of memory",
        gpu=GpuInfo(name="a GPU", uuid="GPU-1"),
        total_mb=8192,
        samples=(SAMPLE, SAMPLE.model_copy(update={"operation": None, "stage": None, "job_id": None})),
        marks=(RecordedMark(at_unix_s=1_700_000_000, what="load_vlm", duration_s=2.5, error="OllamaFailure: no"),),
    )
    assert Recording.unpack(full.pack()) == full
    assert Recording.unpack_text(full.pack_text()) == full
    assert Recording.unpack(recording().pack()) == recording()


def test_ten_minutes_take_little_room() -> None:
    samples = tuple(SAMPLE.model_copy(update={"at_unix_s": 1_700_000_000 + at / 2}) for at in range(SAMPLES_MAX))
    assert len(recording(samples=samples).pack_text()) < 50_000
    with pytest.raises(ValidationError, match="at most 1200"):
        recording(samples=(*samples, SAMPLE))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no gzip",
        recording().pack()[:-4],
        gzip.compress(b"no JSON", mtime=0),
        gzip.compress(b"\xff\xfe", mtime=0),
        gzip.compress(b"[" * 100_000, mtime=0),
        gzip.compress(b" " * (UNPACKED_BYTES_MAX + 1), mtime=0),
        zipped([]),
        zipped({"track": "gpu0"}),
        zipped(recording().dump() | {"more": 1}),
        zipped(recording().dump() | {"track": "../../etc"}),
        zipped(recording().dump() | {"reason": "a/b"}),
        zipped(recording().dump() | {"taken_unix_s": 1e300}),
        zipped(recording().dump() | {"marks": [{"at_unix_s": float("nan"), "what": "ask", "duration_s": 1}]}),
    ],
)
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Recording.unpack(data)
    with pytest.raises(InvalidRequest):
        Recording.unpack_text(base64.b64encode(data))


def test_text_that_is_no_base64_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not a singletrack recording"):
        Recording.unpack_text("not base64!")


def test_one_of_another_release_says_so() -> None:
    with pytest.raises(UnsupportedVersion, match="same release"):
        Recording.unpack(zipped(recording().dump() | {"version": 99}))


def test_a_file_is_named_after_track_time_and_reason() -> None:
    assert recording(reason="load_vlm_failed").file_name == "gpu0-20231114T221321Z-load_vlm_failed.json.gz"
