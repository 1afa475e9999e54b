"""What a worker does around Celery's own steps: in this order at the start, in the reverse at the end.

`OneAtATime` refuses a pool that could run two operations at once. `Manage` builds the manager, gives it to the
tasks, and takes it away after the last of them. A host lock, a lease and a sweep belong between the two.
"""

import logging
from typing import Any

from celery import bootsteps
from celery.worker.control import Panel, control_command

from singletrack_tasks import gpu
from singletrack_tasks.errors import SingletrackError

_log = logging.getLogger(__name__)

# Each of these could make two operations run at once, or take the worker off its queue.
REFUSED_COMMANDS = ("pool_grow", "pool_shrink", "autoscale", "add_consumer", "cancel_consumer")


class OneAtATime(bootsteps.StartStopStep):
    """Refuses to start with another pool than one thread, and takes the commands that could change that away."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        if worker.concurrency != 1 or not worker.pool_cls.__module__.endswith("concurrency.thread"):
            raise SystemExit(
                "A GPU worker runs one operation at a time: leave --pool and --concurrency out, or give "
                "--pool=threads --concurrency=1."
            )
        if options.get("autoscale") or worker.options.get("autoscale"):
            raise SystemExit("A GPU worker runs one operation at a time: leave --autoscale out.")
        # Workers of a track do not know each other: asking around for them only delays the start.
        worker.options.update(without_gossip=True, without_mingle=True)
        for command in REFUSED_COMMANDS:
            Panel.data.pop(command, None)


class Manage(bootsteps.StartStopStep):
    """Starts the manager before the first task, and stops it after the last."""

    requires = ("celery.worker.components:Pool", OneAtATime)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.gpu_worker = None

    def start(self, worker: Any) -> None:
        """Build the manager, let it see what there is, and give it to the tasks."""
        from singletrack_worker.assembly import Worker

        try:
            worker.gpu_worker = Worker(worker.app.gpu_config)
        except SingletrackError as error:
            raise SystemExit(f"The worker cannot start: {error}") from error
        worker.gpu_worker.start()
        gpu.provide(worker.gpu_worker.manager)

    def stop(self, worker: Any) -> None:
        """Let the operation in flight finish, then end the encoders; calling it again does nothing."""
        worker.pool.stop()
        gpu.provide(None)
        if worker.gpu_worker is not None:
            worker.gpu_worker.stop()
            worker.gpu_worker = None

    def terminate(self, worker: Any) -> None:
        """End as `stop` does."""
        self.stop(worker)


@control_command(args=[("job_id", str)], signature="<job_id>")
def gpu_cancel(state: Any, job_id: str) -> dict[str, str]:
    """Break off the operation of a job, if it is the one in flight."""
    running = state.consumer.controller.gpu_worker
    done = running is not None and running.manager.cancel(job_id)
    return {"ok": f"job {job_id} {'was told to stop' if done else 'is not in flight'}"}


STEPS = (OneAtATime, Manage)
