"""How a task runs in this worker: only if its message is in hand, and put back if the worker ends on the way."""

from typing import Any

from celery import Task
from celery.exceptions import Reject

from singletrack_tasks.errors import SingletrackError
from singletrack_worker import logs
from singletrack_worker.delivery import inbox as inboxes


class HeldTask(Task):  # type: ignore[type-arg] # generic in the stubs only
    """The base of all tasks of the app."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run; raises `Reject` for a message that goes back to the queue, or went there before its turn came."""
        inbox = inboxes.current()
        if inbox is None or not inbox.claim(self.request.id or ""):
            raise Reject("the worker ends, or the message is not in its hands", requeue=True)
        try:
            with logs.doing(self.request.id or "", self.name):
                return self.run(*args, **kwargs)
        except SingletrackError as error:
            if inbox.giving_back:
                # It was broken off for the worker's end: the next worker does it, and its caller hears of nothing else.
                raise Reject(error, requeue=True) from error
            raise
