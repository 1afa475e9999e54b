"""What is kept of a message that is not run, or not run again."""

import base64
from typing import Literal, Self

from pydantic import Field

from singletrack_tasks.message import Message

PAYLOAD_MAX_BYTES = 64 * 1024
TEXT_MAX_CHARS = 1000

# `unreadable`: no message of the contract. `worn_out`: begun as often as it may be, never ended: it kills its worker.
DeadCode = Literal["unreadable", "worn_out"]


class DeadLetter(Message):
    """A message that was put aside, with the reason.

    `payload` is what lay on the queue, in base64, cut after `PAYLOAD_MAX_BYTES` bytes (`cut` tells); `job_id` and
    `task` are None where it has none that can be read. `starts` is how often it was begun, `at_unix_s` when it was put
    aside, by the clock of the Redis server.
    """

    code: DeadCode
    reason: str
    at_unix_s: float
    host: str
    job_id: str | None = None
    task: str | None = None
    starts: int = Field(default=0, ge=0)
    payload: str = ""
    cut: bool = False

    @classmethod
    def of(
        cls,
        raw: bytes,
        code: DeadCode,
        reason: str,
        *,
        at_unix_s: float,
        host: str,
        job_id: str | None = None,
        task: str | None = None,
        starts: int = 0,
    ) -> Self:
        """Describe a message."""
        return cls(
            code=code,
            reason=_writable(reason),
            at_unix_s=at_unix_s,
            host=host,
            job_id=job_id,
            task=None if task is None else _writable(task),
            starts=starts,
            payload=base64.b64encode(raw[:PAYLOAD_MAX_BYTES]).decode("ascii"),
            cut=len(raw) > PAYLOAD_MAX_BYTES,
        )

    def raw(self) -> bytes:
        """Give the message as it lay on the queue, as far as it was kept."""
        return base64.b64decode(self.payload)


def _writable(text: str) -> str:
    """Give what can be written of a text, since what comes from a message may hold half a character."""
    return text[:TEXT_MAX_CHARS].encode("utf-8", "replace").decode("utf-8")
