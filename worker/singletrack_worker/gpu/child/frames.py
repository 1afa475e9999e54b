"""Runs in the worker and in the child: frames over the pipes between them.

A frame is a JSON header and a binary payload, with their lengths before them.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

MAGIC = b"STF1"
MAX_HEADER_BYTES = 64 * 1024
# 256 images of 800 x 800 x 3 bytes; a greater length is a defect, not a request.
MAX_PAYLOAD_BYTES = 512 * 1024 * 1024

# Magic, length of the header and length of the payload in bytes, big endian.
_PREFIX = struct.Struct(">4sIQ")


class BrokenFrame(Exception):
    """The end of a pipe, or what is no frame on it: nothing more can be read from it, or written to it."""


@dataclass(frozen=True)
class Frame:
    """One message over the pipe."""

    header: dict[str, Any]
    payload: bytes = b""


def write_frame(stream: BinaryIO, header: Mapping[str, Any], payload: bytes = b"") -> None:
    """Write one frame and flush it; raises `BrokenFrame` if it is too large or the reader is gone."""
    text = json.dumps(header).encode()
    _check_lengths(len(text), len(payload))
    try:
        stream.write(_PREFIX.pack(MAGIC, len(text), len(payload)) + text)
        stream.write(payload)
        stream.flush()
    except OSError as error:
        raise BrokenFrame(f"the other end of the pipe is gone: {error}") from error


def read_frame(stream: BinaryIO) -> Frame:
    """Read one frame, waiting for it.

    Raises `BrokenFrame` at the end of the pipe, and for bytes that are not a frame; the pipe is useless then.
    """
    magic, header_bytes, payload_bytes = _PREFIX.unpack(_read_exactly(stream, _PREFIX.size))
    if magic != MAGIC:
        raise BrokenFrame(f"what came over the pipe is not a frame: it begins with {magic!r}")
    _check_lengths(header_bytes, payload_bytes)
    header = _parse_header(_read_exactly(stream, header_bytes))
    return Frame(header, _read_exactly(stream, payload_bytes))


def _read_exactly(stream: BinaryIO, size_bytes: int) -> bytes:
    try:
        data = stream.read(size_bytes)
    except OSError as error:
        raise BrokenFrame(f"the pipe cannot be read: {error}") from error
    if len(data) < size_bytes:
        raise BrokenFrame(f"the pipe ended after {len(data)} of {size_bytes} bytes")
    return data


def _parse_header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise BrokenFrame(f"the header of a frame is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise BrokenFrame(f"the header of a frame must be a JSON object, not {type(header).__name__}")
    return header


def _check_lengths(header_bytes: int, payload_bytes: int) -> None:
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise BrokenFrame(
            f"a frame of {header_bytes} + {payload_bytes} bytes is too large: "
            f"the limit is {MAX_HEADER_BYTES} + {MAX_PAYLOAD_BYTES}. Send fewer inputs at once."
        )
