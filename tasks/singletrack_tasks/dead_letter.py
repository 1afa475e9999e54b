"""Dead letters: records of messages that are not run, or not run again."""

import base64
from typing import Literal, Self

from pydantic import Field

from singletrack_tasks.message import Message

PAYLOAD_MAX_BYTES = 64 * 1024
TEXT_MAX_CHARS = 1000

# `unreadable`: does not match the contract. `worn_out`: started as often as allowed, never ended: it kills its worker.
# `frozen`: its worker's threads could not run any more until the kernel ended it.
DeadCode = Literal["unreadable", "worn_out", "frozen"]


class DeadLetter(Message):
    """A message that was set aside, with the reason.

    `payload` is the message as it was queued, in base64, cut after `PAYLOAD_MAX_BYTES` bytes (`cut` says whether it
    was). `job_id` and `task` are None if they cannot be read from it. `starts` is how often it was started, `at_unix_s`
    when it was set aside, by the Redis server's clock.
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
        """Make the dead letter of a message, given its raw bytes."""
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
        """Return the message as it was queued, as far as it was kept."""
        return base64.b64decode(self.payload)


def _writable(text: str) -> str:
    """Shorten a text and replace what UTF-8 cannot encode: a message may contain lone surrogates."""
    return text[:TEXT_MAX_CHARS].encode("utf-8", "replace").decode("utf-8")
