"""What callers ask beside the queue: to give a job up, or for a recording."""

import logging

import redis

from singletrack_tasks.keys import (
    RECORDING_TTL_S,
    Keys,
)
from singletrack_tasks.recording import Recording
from singletrack_worker.store.writer import Writer

_log = logging.getLogger(__name__)


class RedisCancellations:
    """Jobs that their callers gave up."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._redis = client
        self._keys = keys

    def is_cancelled(self, job_id: str) -> bool:
        """Look; if Redis is away, the job is done: its caller may still wait."""
        try:
            return bool(self._redis.exists(self._keys.cancel(job_id)))
        except redis.RedisError as error:
            _log.warning("cannot see whether job %s was cancelled: %s", job_id, error)
            return False


class RedisRecordings:
    """Recordings for those who asked; one that cannot be written is asked for again."""

    def __init__(self, keys: Keys, writer: Writer) -> None:
        self._keys = keys
        self._writer = writer

    def put(self, request_id: str, recording: Recording) -> None:
        """Write one, as long as this worker has the track: another's GPU is none of the asker's business."""
        try:
            key = self._keys.recording(request_id)
            self._writer.write(("SET", key, recording.pack_text(), "EX", RECORDING_TTL_S))
        except redis.RedisError as error:
            _log.warning("the recording %s was not delivered: %s", request_id, error)
