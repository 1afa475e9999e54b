"""The product's own app, in which one ping kills its worker: `celery -A tests.faults.killed_worker worker`."""

import os
import signal
import time

from singletrack_tasks.requests.ping import Ping, PingResult
from singletrack_worker.app import app
from singletrack_worker.gpu.operations.ping import PingHandler
from singletrack_worker.gpu.turn import Turn

__all__ = ["app"]

KILLER = "killer"
# Long enough to be killed in the middle of it.
WORK_S = 0.2
_run = PingHandler.run


def work(self: PingHandler, request: Ping, turn: Turn) -> PingResult:
    """Take a while, unless the job is the killer."""
    if turn.job.id == KILLER:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(WORK_S)
    return _run(self, request, turn)


PingHandler.run = work  # type: ignore[method-assign] # the killer is put around the product from outside
