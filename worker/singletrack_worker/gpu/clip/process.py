"""Runs in the worker: the process of an encoder.

`encoder.py` makes the calls and knows what they mean; `program.py` is what the child runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from singletrack_tasks.errors import ClipUnavailable, EncoderFailure
from singletrack_worker.gpu.child.frames import Frame
from singletrack_worker.gpu.child.process import ChildFailure, ChildProcess, command_of

COMMAND = command_of("singletrack_worker.gpu.clip.program")


class EncoderProcess(ChildProcess):
    """A child process that holds a CLIP model; its failures are those that callers hear of."""

    def __init__(self, command: Sequence[str] = COMMAND, environment: Mapping[str, str] | None = None) -> None:
        with _typed_failures():
            super().__init__("encoder", command, environment)

    def call(self, header: Mapping[str, Any], payload: bytes = b"", *, timeout_s: float) -> Frame:
        """Send a frame and return the answer, as `ChildProcess.call` does.

        Raises `EncoderFailure` (`details["kind"]` says why), and `ClipUnavailable` if the child answers that it cannot
        get its weights.
        """
        with _typed_failures():
            return super().call(header, payload, timeout_s=timeout_s)


@contextmanager
def _typed_failures() -> Iterator[None]:
    try:
        yield
    except ChildFailure as error:
        if error.kind == "unavailable":
            raise ClipUnavailable(error.said) from error
        raise EncoderFailure(str(error), error.details) from error
