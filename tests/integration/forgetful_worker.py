"""The product's own app, in which Celery loses tasks of certain ids: `celery -A tests.integration.forgetful_worker`."""

from concurrent.futures import Future
from typing import Any

from celery.concurrency import thread
from celery.concurrency.thread import TaskPool

from singletrack_worker.app import app
from singletrack_worker.delivery import stall_watch
from singletrack_worker.delivery.inbox import Inbox

__all__ = ["app"]

# The ids of the jobs: received and not run, once or always; run, and its result never written.
LOST_ONCE, LOST_ALWAYS, UNTOLD_ONCE = "lost-once", "lost-always", "untold-once"
_apply = TaskPool.on_apply
# The stubs omit it.
_Promise: Any = vars(thread)["ApplyResult"]
_finish, _done = Inbox.finish, Inbox.done
_lost = set[str]()
_untold = set[str]()


def apply(self: TaskPool, target: Any, args: Any = None, *rest: Any, **options: Any) -> Any:
    """Run a task, whose id is the second argument, unless it is lost here."""
    job_id = args[1]
    if job_id == LOST_ALWAYS or (job_id == LOST_ONCE and job_id not in _lost):
        _lost.add(job_id)
        return _Promise(Future())
    return _apply(self, target, args, *rest, **options)


def finish(self: Inbox, job_id: str, result: str) -> None:
    """Write a result, unless it is lost here; its message is then not let go of, either."""
    if job_id == UNTOLD_ONCE and job_id not in _untold:
        return
    _finish(self, job_id, result)


def done(self: Inbox, tag: str) -> None:
    """Let go of a message, unless that is lost here."""
    held = self.idle
    if held is not None and held.envelope.job_id == UNTOLD_ONCE and UNTOLD_ONCE not in _untold:
        _untold.add(UNTOLD_ONCE)
        return
    _done(self, tag)


TaskPool.on_apply = apply  # type: ignore[method-assign] # what is lost is put around the product from outside
Inbox.finish = finish  # type: ignore[method-assign] # as above
Inbox.done = done  # type: ignore[method-assign] # as above
stall_watch.LOOKS_MAX = 3
