"""The control: a stock Celery app with the settings that are usually recommended, and tasks of the same shape.

`celery -A tests.faults.stock worker --pool=threads --concurrency=1`. Its operations sleep, and note what ours note.
"""

import os
import signal
import time
from typing import Any

from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

from tests.faults import places, recording
from tests.faults.errands import Errand
from tests.faults.history import Begin, End, now_ns
from tests.faults.player import Handle, NotTaken, Told

QUEUE = "stock"
URL = "STOCK_REDIS_URL"
WORK = "stock.work"
# What an operation of each kind takes, in seconds: about what ours take with the sandbox's tiny model.
SECONDS = {"ping": 0.0, "embed": 0.004, "ask": 0.03, "mode": 0.1, "load": 0.1, "unload": 0.05, "find": 0.002}
_TIMEOUT_S = 5.0


def make_app(url: str) -> Celery:
    """Make the app, for a worker and for clients."""
    app = Celery("stock", broker=url, backend=url, set_as_current=False)
    options: dict[str, Any] = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    if os.environ.get(places.VISIBILITY):
        options["visibility_timeout"] = float(os.environ[places.VISIBILITY])
    app.conf.update(
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_deduplicate_successful_tasks=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={**options, "socket_keepalive": True, "health_check_interval": 5},
        redis_socket_timeout=_TIMEOUT_S,
        result_expires=3600,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        worker_hijack_root_logger=False,
    )
    return app


app = make_app(os.environ.get(URL, "redis://127.0.0.1:6379/0"))


@app.task(name=WORK, bind=True)
def work(self: Any, kind: str, duration_s: float) -> str:
    """Do nothing for a while, and note when."""
    journal, job = recording.journal(), self.request.id
    journal.note(Begin(now_ns(), job, kind, 0, recording.host(), os.getpid()))
    if kind == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(duration_s)
    journal.note(End(now_ns(), job, os.getpid()))
    journal.close()
    return f"{job} at {now_ns()}"


if places.HISTORY in os.environ and places.HOST in os.environ:
    recording.record_results(app, recording.journal(), lambda _: 0)


class StockHandle:
    """An `AsyncResult` with a deadline."""

    def __init__(self, stock: Celery, result: "AsyncResult[Any]", timeout_s: float) -> None:
        self._app = stock
        self.id = str(result.id)
        self._until_s = time.monotonic() + timeout_s

    def result(self) -> str:
        """Wait for the digest of its result; raises `Told`."""
        # In a thread of its own, which has a backend of its own.
        result: AsyncResult[Any] = AsyncResult(self.id, app=self._app)
        while True:
            try:
                return recording.digest(result.get(timeout=max(0.01, self._until_s - time.monotonic())))
            except CeleryTimeoutError as error:
                raise Told("TimeoutError") from error
            except TaskRevokedError as error:
                # It expired.
                raise Told("DeadlinePassed") from error
            except Exception as error:
                # A connection that was lost: whoever waits looks again, as one would write it.
                if time.monotonic() > self._until_s:
                    raise Told("TimeoutError") from error
                time.sleep(0.2)
                result = AsyncResult(self.id, app=self._app)

    def cancel(self) -> None:
        """Say that it cannot be called off: a revoke is in the memory of one worker, and is gone with it."""
        raise NotImplementedError


class StockOffice:
    """`send_task`."""

    def __init__(self, url: str) -> None:
        self._app = make_app(url)

    def submit(self, errand: Errand, job: str) -> Handle:
        """Hand one in; raises `NotTaken`."""
        duration_s = SECONDS.get(errand.kind, errand.timeout_s / 2)
        try:
            result = self._app.send_task(
                WORK,
                (errand.kind, duration_s),
                task_id=job,
                expires=errand.timeout_s,
                retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
            )
        except Exception as error:
            # Its result backend, too, raises whatever redis-py does.
            raise NotTaken(type(error).__name__, again=False) from error
        return StockHandle(self._app, result, errand.timeout_s)

    def close(self) -> None:
        """End the connections."""
        self._app.close()
