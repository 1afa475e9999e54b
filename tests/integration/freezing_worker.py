"""The product's own app, in which pings of certain ids keep the GIL: `celery -A tests.integration.freezing_worker`."""

import ctypes
import os
import re
from pathlib import Path

from singletrack_tasks.requests.ping import Ping, PingResult
from singletrack_worker.app import app
from singletrack_worker.gpu.operations.ping import PingHandler
from singletrack_worker.gpu.turn import Turn
from singletrack_worker.tenure import watchdog

__all__ = ["app"]

# The ids of the jobs, and a file that is there once the second one has been begun.
BURNS, SLEEPS, SLEPT = "burns", "sleeps", "FREEZING_WORKER_SLEPT"
CPU_S, STUCK_S = 2.0, 60.0
_run = PingHandler.run


def freeze(self: PingHandler, request: Ping, turn: Turn) -> PingResult:
    """Answer, unless the job is one of the two."""
    if turn.job.id == BURNS:
        re.match(r"(a+)+$", "a" * 64 + "b")
    if turn.job.id == SLEEPS and not (slept := Path(os.environ[SLEPT])).exists():
        slept.touch()
        # Unlike CDLL, it keeps the GIL.
        ctypes.PyDLL(None).sleep(3600)
    return _run(self, request, turn)


PingHandler.run = freeze  # type: ignore[method-assign] # the jobs that freeze are put around the product from outside
watchdog.FROZEN_CPU_S = CPU_S
watchdog.STUCK_S = float(os.environ.get("FREEZING_WORKER_STUCK_S", STUCK_S))
