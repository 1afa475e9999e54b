"""Frames go through a pipe as they are, and what is no frame is refused."""

import io
import struct

import pytest

from singletrack_worker.gpu.child import frames
from singletrack_worker.gpu.child.frames import BrokenFrame, Frame, read_frame, write_frame


def written(header: dict[str, object], payload: bytes = b"") -> bytes:
    stream = io.BytesIO()
    write_frame(stream, header, payload)
    return stream.getvalue()


@pytest.mark.parametrize("payload", [b"", b"\x00\n\xff" * 100_000])
def test_frames_arrive_one_after_another(payload: bytes) -> None:
    stream = io.BytesIO(written({"command": "texts", "n": 2}, payload) + written({"command": "where"}))
    assert read_frame(stream) == Frame({"command": "texts", "n": 2}, payload)
    assert read_frame(stream) == Frame({"command": "where"})


def test_every_way_to_be_cut_short_is_an_end() -> None:
    whole = written({"a": 1}, b"payload")
    for length in range(len(whole)):
        with pytest.raises(BrokenFrame, match="ended after"):
            read_frame(io.BytesIO(whole[:length]))


def test_text_on_the_pipe_is_no_frame() -> None:
    with pytest.raises(BrokenFrame, match=r"not a frame.*Warn"):
        read_frame(io.BytesIO(b"Warning: something is deprecated"))


@pytest.mark.parametrize("text", [b"{", b"[1]", b"\xff\xfe"])
def test_a_header_is_a_json_object(text: bytes) -> None:
    with pytest.raises(BrokenFrame, match="header"):
        read_frame(io.BytesIO(struct.pack(">4sIQ", frames.MAGIC, len(text), 0) + text))


def test_absurd_lengths_are_refused_before_anything_is_read() -> None:
    with pytest.raises(BrokenFrame, match="too large"):
        read_frame(io.BytesIO(struct.pack(">4sIQ", frames.MAGIC, 2, 2**60) + b"{}"))
    with pytest.raises(BrokenFrame, match="too large"):
        write_frame(io.BytesIO(), {"text": "x" * frames.MAX_HEADER_BYTES})


def test_a_pipe_that_nobody_reads_is_broken() -> None:
    class Broken(io.BytesIO):
        def write(self, _: object) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenFrame, match="gone"):
        write_frame(Broken(), {})
