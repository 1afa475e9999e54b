"""What callers ask for outside the queue: to cancel a job, or a recording."""

import logging

import redis

from singletrack_tasks.keys import RECORDING_TTL_S, Keys
from singletrack_tasks.recording import Recording
from singletrack_worker.store.writer import Writer

_log = logging.getLogger(__name__)


class RedisCancellations:
    """Jobs that their callers cancelled."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._redis = client
        self._keys = keys

    def is_cancelled(self, job_id: str) -> bool:
        """Look it up; False while Redis does not answer, since the caller may still be waiting."""
        try:
            return bool(self._redis.exists(self._keys.cancel(job_id)))
        except redis.RedisError as error:
            _log.warning("cannot tell whether job %s was cancelled: %s", job_id, error)
            return False


class RedisRecordings:
    """Recordings for the clients that asked for them; a client asks again for one that could not be written."""

    def __init__(self, keys: Keys, writer: Writer) -> None:
        self._keys = keys
        self._writer = writer

    def put(self, request_id: str, recording: Recording) -> None:
        """Write one, if this worker has the track: the caller did not ask about another worker's GPU."""
        try:
            key = self._keys.recording(request_id)
            self._writer.write(("SET", key, recording.pack_text(), "EX", RECORDING_TTL_S))
        except redis.RedisError as error:
            _log.warning("the recording %s was not delivered: %s", request_id, error)
