"""Answers on their way to whoever waits for them, piece by piece, in a Redis stream of the job's own."""

import logging
import time

import redis

from singletrack_tasks.keys import ANSWER_MAX, ANSWER_TTL_S, Keys
from singletrack_worker.stores import Writer

# Pieces that follow each other faster than this are written together.
GATHER_S = 0.05
_log = logging.getLogger(__name__)


class RedisAnswers:
    """Writes the answer that is being made; each entry has its text and at which character of the answer it begins.

    An entry that begins at 0 starts the answer anew. What Redis does not take is left out: whoever reads sees the gap,
    and has the whole answer in the result.
    """

    def __init__(self, keys: Keys, writer: Writer) -> None:
        self._keys = keys
        self._writer = writer
        self._of = ("", 0)
        self._at = 0
        self._gathered: list[str] = []
        self._written_s = 0.0

    def tell(self, job_id: str, attempt: int, text: str) -> None:
        """Add a piece of the answer to a job's question, which begins anew with each attempt."""
        if self._of != (job_id, attempt):
            self._of, self._at, self._gathered = (job_id, attempt), 0, []
        self._gathered.append(text)
        if time.monotonic() - self._written_s >= GATHER_S:
            self.flush(job_id)

    def flush(self, job_id: str) -> None:
        """Write what was gathered of it."""
        if self._of[0] != job_id or not self._gathered:
            return
        text, self._gathered = "".join(self._gathered), []
        at, self._at = self._at, self._at + len(text)
        self._written_s = time.monotonic()
        key = self._keys.answer(job_id)
        try:
            self._writer.write(
                ("XADD", key, "MAXLEN", "~", ANSWER_MAX, "*", "at", at, "text", text), ("EXPIRE", key, ANSWER_TTL_S)
            )
        except redis.RedisError as error:
            _log.warning("a piece of the answer to job %s was not told: %s", job_id, error)
