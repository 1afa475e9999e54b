"""How a task runs in this worker: only while its message is in hand; if the worker ends meanwhile, it is put back."""

from typing import Any

from celery import Task
from celery.exceptions import Reject

from singletrack_tasks.errors import SingletrackError
from singletrack_worker import logs
from singletrack_worker.delivery import inbox as inboxes
from singletrack_worker.gpu.hold import Overtaken


class HeldTask(Task):  # type: ignore[type-arg] # generic in the stubs only
    """The base class of the app's tasks."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; raises `Reject` if its message goes back, or went back already, to the queue."""
        inbox = inboxes.current()
        if inbox is None or not inbox.claim(self.request.id or ""):
            raise Reject("the worker is ending, or the message is not in hand", requeue=True)
        try:
            with logs.doing(self.request.id or "", self.name):
                return self.run(*args, **kwargs)
        except Overtaken as error:
            # The worker that has the track now runs it, unless the message is still here: then it goes back.
            raise Reject(str(error), requeue=True) from error
        except SingletrackError as error:
            if inbox.giving_back:
                # It was broken off because the worker ends: the next worker runs it, and its caller sees no error.
                raise Reject(error, requeue=True) from error
            raise
        finally:
            inbox.returned(self.request.id or "")
