"""Finds messages that were received and never run, or whose task returned and never ended."""

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from singletrack_worker.delivery.held_message import HeldMessage
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.gpu.kept_thread import KeptThread, Troubles

LOOK_EVERY_S = 1.0
# Counted instead of timed: a process that was stopped for minutes and goes on has not looked meanwhile.
LOOKS_MAX = 15
# So many in a row, with nothing begun in between, and it is the worker that is at fault.
IN_A_ROW_MAX = 4
_WHAT = "delivery"
_log = logging.getLogger(__name__)


class Stalled(Exception):
    """A message that nothing works on although it is in hand."""


class StallListener(NamedTuple):
    """Who is told of a job that was put back, and what ends a worker that runs nothing any more."""

    put_back: Callable[[str], None]
    hopeless: Callable[[], None]


class StallWatch:
    """Puts back the message in hand when nothing has worked on it at so many looks in a row; its start counts.

    Only while `sure` of the lease: without Redis nothing could be put back, and much waits for it.
    """

    def __init__(self, inbox: Inbox, troubles: Troubles, sure: Callable[[], bool], listener: StallListener) -> None:
        self._inbox = inbox
        self._troubles = troubles
        self._sure = sure
        self._listener = listener
        self._seen: HeldMessage | None = None
        self._looks = 0
        self._in_a_row, self._begun = 0, inbox.begun
        self._stopped = threading.Event()
        self._thread = KeptThread("stalls", self._watch, troubles)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; harmless when repeated."""
        self._stopped.set()
        self._thread.end()

    def look(self) -> None:
        """Look once; raises `redis.RedisError` while the worker ends."""
        if self._inbox.begun != self._begun:
            self._begun, self._in_a_row = self._inbox.begun, 0
            self._troubles.works(_WHAT)
        idle = self._inbox.idle
        if idle is None or idle is not self._seen or not self._sure():
            self._seen, self._looks = idle, 0
            return
        self._looks += 1
        if self._looks >= LOOKS_MAX and self._inbox.put_back_idle(idle):
            self._tell(idle.envelope.job_id)

    def _watch(self) -> bool:
        if self._stopped.wait(LOOK_EVERY_S):
            return False
        self.look()
        return True

    def _tell(self, job_id: str) -> None:
        self._seen, self._looks = None, 0
        self._in_a_row += 1
        self._troubles.failed(_WHAT, Stalled(f"job {job_id} was in hand and nothing ran it; it was put back"))
        self._listener.put_back(job_id)
        if self._in_a_row >= IN_A_ROW_MAX:
            _log.critical("this worker receives messages and runs none of them: it ends")
            self._listener.hopeless()
