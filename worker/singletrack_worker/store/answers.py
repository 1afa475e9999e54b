"""Streams answers to their callers, piece by piece, in a Redis stream per job."""

import logging
import time

import redis

from singletrack_tasks.keys import ANSWER_MAX, ANSWER_TTL_S, Keys
from singletrack_worker.store.writer import Writer

# Pieces that come faster than this are written together.
GATHER_S = 0.05
_log = logging.getLogger(__name__)


class RedisAnswers:
    """Writes an answer while it is generated; each entry has its text and its offset in the answer, in characters.

    An entry at offset 0 starts the answer anew. Once a piece cannot be written, since Redis does not answer or another
    worker has the track, the rest of that attempt is skipped: a Redis that hangs would delay the answer, and the caller
    gets all of it in the result.
    """

    def __init__(self, keys: Keys, writer: Writer) -> None:
        self._keys = keys
        self._writer = writer
        self._of = ("", 0)
        self._given_up = False
        self._at = 0
        self._gathered: list[str] = []
        self._written_s = 0.0

    def tell(self, job_id: str, attempt: int, text: str) -> None:
        """Add a piece of a job's answer, which starts anew with each attempt."""
        if self._of != (job_id, attempt):
            self._of, self._at, self._gathered, self._given_up = (job_id, attempt), 0, [], False
        if self._given_up:
            return
        self._gathered.append(text)
        if time.monotonic() - self._written_s >= GATHER_S:
            self._write(job_id)

    def flush(self, job_id: str) -> None:
        """Write what was gathered: this answer has ended, and the job's next one, if any, starts anew."""
        if self._of[0] != job_id:
            return
        if self._gathered:
            self._write(job_id)
        self._of = ("", 0)

    def _write(self, job_id: str) -> None:
        text, self._gathered = "".join(self._gathered), []
        at, self._at = self._at, self._at + len(text)
        self._written_s = time.monotonic()
        key = self._keys.answer(job_id)
        try:
            self._given_up = not self._writer.write(
                ("XADD", key, "MAXLEN", "~", ANSWER_MAX, "*", "at", at, "text", text), ("EXPIRE", key, ANSWER_TTL_S)
            )
        except redis.RedisError as error:
            self._given_up = True
            _log.warning("the rest of job %s's answer is not streamed, its result will have it: %s", job_id, error)
