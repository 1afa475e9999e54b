"""Celery's Redis result backend, made to write a result and end its message in one step, under the worker's token."""

from typing import Any

from celery import states
from celery.backends.redis import RedisBackend

from singletrack_worker.delivery import inbox as inboxes
from singletrack_worker.delivery.lines import line_class

# The stubs omit the private methods that are overridden and called here.
_StockBackend: Any = RedisBackend


class TrackBackend(_StockBackend):  # type: ignore[misc] # see above
    """The worker's result backend; without an inbox, as in Flower, it behaves as Celery's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connparams["connection_class"] = line_class(self.url)

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **options: Any
    ) -> Any:
        inbox = inboxes.current()
        if inbox is None or state not in states.READY_STATES:
            return super()._store_result(task_id, result, state, traceback, request, **options)
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        meta["task_id"] = task_id
        inbox.finish(task_id, self.encode(meta))
        return result
