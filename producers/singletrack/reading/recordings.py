"""Fetches a worker's flight recording."""

import time
import uuid
from typing import Any

from singletrack.reading.snapshots import SnapshotReader
from singletrack.wire.link import RedisLink
from singletrack.wire.sender import Sender
from singletrack_tasks.errors import NoWorker
from singletrack_tasks.recording import Recording

RECORD_COMMAND = "gpu_record"
RECORD_TIMEOUT_S = 10.0
# A worker that does not listen at the moment misses a remote control message: it is sent again.
_TELL_EVERY_S = 1.0
_LOOK_EVERY_S = 0.02


class Recordings:
    """The recordings of one track's worker, which answers even while the GPU is busy."""

    def __init__(self, link: RedisLink, sender: Sender, snapshots: SnapshotReader) -> None:
        self._link = link
        self._sender = sender
        self._snapshots = snapshots

    def fetch(self, timeout_s: float) -> Recording:
        """Ask for the last ten minutes; raises `NoWorker` at once if there is none, else if it does not answer."""
        self._snapshots.check_worker()
        request_id = str(uuid.uuid4())
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._sender.tell_workers(RECORD_COMMAND, {"request_id": request_id})
            text = self._wait(self._link.keys.recording(request_id), min(left_s, _TELL_EVERY_S))
            if text is not None:
                return Recording.unpack_text(text)
        raise NoWorker(
            f"the worker of the track {self._link.keys.track!r} did not hand its recording over in {timeout_s:g} s: "
            "its remote control may be cut off for a moment, or its release may be older. Try again, or restart it."
        )

    def _wait(self, key: str, duration_s: float) -> bytes | None:
        until_s = time.monotonic() + duration_s
        while True:
            with self._link.reaching() as client:
                # Nobody else knows the key.
                text: Any = client.getdel(key)
            if text is not None or time.monotonic() >= until_s:
                return text if text is None else bytes(text)
            time.sleep(_LOOK_EVERY_S)
