"""The contract's Celery tasks, generated from the list of requests; a worker registers them, a client does not."""

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from celery import Celery, Task

from singletrack_tasks.errors import InvalidRequest, NotInWorker, SingletrackError, WorkerFailure
from singletrack_tasks.requests.catalogue import REQUESTS
from singletrack_tasks.requests.request import JobRef, Request
from singletrack_tasks.result import OperationResult
from singletrack_tasks.text import quoted

R = TypeVar("R", bound=OperationResult)

_SHOWN_CHARS = 200

_log = logging.getLogger(__name__)


class Gpu(Protocol):
    """One GPU: each operation waits for its turn, and only one runs at a time."""

    def run(self, request: Request[R], job: JobRef) -> R:
        """Run the requested operation and return its result."""


class TaskReturn:
    """A result on its way to the caller; logs and Flower show only its summary.

    It is not a dict: Celery prints a dict's contents, even if a subclass overrides `__repr__`.
    """

    __slots__ = ("_data", "_summary")

    def __init__(self, result: OperationResult) -> None:
        self._data = result.dump()
        self._summary = result.summary

    def __json__(self) -> dict[str, Any]:
        """Return the result as a JSON object; kombu's encoder calls this."""
        return self._data

    def __repr__(self) -> str:
        return self._summary


def register(app: Celery, gpu: Callable[[], Gpu | None]) -> None:
    """Register one task per request with an app; `gpu` returns the GPU to run on, or None while there is none."""
    for request in REQUESTS:
        register_one(app, request, gpu)


def register_one(app: Celery, kind: type[Request[Any]], gpu: Callable[[], Gpu | None]) -> None:
    """Register the task for one request under its wire name.

    Typed errors are answers to the caller, and Celery logs them in one line. Any other exception is a defect in the
    worker: it is logged with its traceback and reaches the caller as `WorkerFailure`.
    """

    def run(self: "Task[Any, Any]", *args: Any, **kwargs: Any) -> TaskReturn:
        try:
            available = _require_gpu(gpu())
            request = kind.parse(_one_request(args, kwargs))
            return TaskReturn(available.run(request, JobRef(self.request.id or "")))
        except SingletrackError as error:
            # Flower shows tracebacks with all causes, and a cause may quote the request or the answer.
            raise error from None
        except Exception as error:
            _log.exception("%s failed", kind.TASK)
            raise WorkerFailure(
                f"the worker failed with {type(error).__name__}: {str(error)[:_SHOWN_CHARS]}. This is a defect in "
                "the worker; its log has the traceback.",
                {"type": type(error).__name__},
            ) from error

    run.__doc__ = kind.__doc__
    # Not shared, or Celery would also register it with every other app in the process.
    app.task(name=kind.TASK, bind=True, throws=(SingletrackError,), shared=False)(run)


def _require_gpu(gpu: Gpu | None) -> Gpu:
    """Return the GPU; raises `NotInWorker` outside a running worker."""
    if gpu is None:
        raise NotInWorker(
            "this task runs only in a GPU worker, and this process is not one. Start one with `singletrack up` or "
            "`celery -A singletrack_worker worker`, and call it through `singletrack.Client`."
        )
    return gpu


def _one_request(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the `request` argument of a task's message; raises `InvalidRequest` for any other arguments."""
    if args or kwargs.keys() != {"request"}:
        raise InvalidRequest(
            f"this task takes one keyword argument, `request`, a JSON object; it got {len(args)} positional arguments "
            f"and the keywords {quoted(sorted(kwargs))}"
        )
    request: dict[str, Any] = kwargs["request"]
    return request
