"""Listens for the result of a job."""

import threading

from singletrack.wire.celery_line import Handle
from singletrack.wire.sender import Outcome, Sender
from singletrack_tasks.errors import DeadLettered


class Listener:
    """Listens for one result in one thread; `handle` is Celery's, with the id of the thread that it belongs to."""

    def __init__(self, sender: Sender, job_id: str, handle: tuple[int, Handle]) -> None:
        self._sender = sender
        self._job_id = job_id
        thread, result = handle
        mine = thread == threading.get_ident() and sender.made(result)
        self._result: Handle | None = result if mine else None

    def wait(self, timeout_s: float) -> Outcome | None:
        """Wait for the job to end, None if it does not in time; raises `RedisUnavailable`."""
        if self._result is None:
            self._result = self._sender.result(self._job_id)
        outcome = self._sender.wait(self._result, timeout_s)
        if outcome is not None and isinstance(outcome.error, DeadLettered):
            return self._unless_sent_again(outcome)
        return outcome

    def _unless_sent_again(self, heard: Outcome) -> Outcome | None:
        """Look again: what was heard may be from before the job was retried, which makes Redis forget it."""
        if self._sender.look(self._job_id).ended:
            return heard
        self.renew()
        return None

    def renew(self) -> None:
        """Subscribe again at the next wait: a subscription does not survive a lost connection."""
        self.close()
        self._result = None

    def close(self) -> None:
        """Stop listening: Celery keeps what it waits for until it comes."""
        if self._result is not None:
            self._result.release()
