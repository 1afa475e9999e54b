"""What a worker does besides Celery's own steps: in this order at the start, in reverse at the end.

`OneAtATime` refuses a pool that could run two operations at once. `LockHost` takes the GPU's lock on this host.
`HoldTrack` takes the lease on the track, across all hosts, and puts back the messages that earlier workers left.
`Manage` builds the manager for the tasks, and takes it away after the last of them.
"""

import logging
from functools import partial
from typing import Any, NoReturn

import redis
from celery import bootsteps
from celery.worker import state as celerys_state
from celery.worker.state import maybe_shutdown

from singletrack_tasks.errors import RedisUnavailable, SingletrackError
from singletrack_tasks.requests.catalogue import REQUESTS
from singletrack_worker import remote_control
from singletrack_worker.delivery import inbox
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.stopping import Stopping
from singletrack_worker.tenure.host_lock import EX_HELD

_log = logging.getLogger(__name__)

# What may be asked for by message. The app has more: Celery's own tasks, which could run anything any number of times.
TASKS = frozenset(request.TASK for request in REQUESTS)


class OneAtATime(bootsteps.StartStopStep):
    """Refuses any pool but one thread, and the remote control commands that could change that."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        if worker.concurrency != 1 or not worker.pool_cls.__module__.endswith("concurrency.thread"):
            raise SystemExit(
                "A GPU worker runs one operation at a time: omit --pool and --concurrency, or use "
                "--pool=threads --concurrency=1."
            )
        if options.get("autoscale") or worker.options.get("autoscale"):
            raise SystemExit("A GPU worker runs one operation at a time: omit --autoscale.")
        # Workers do not cooperate: looking for others only delays the start.
        worker.options.update(without_gossip=True, without_mingle=True)
        remote_control.take_over()


class LockHost(bootsteps.StartStopStep):
    """Takes the GPU's lock on this host, or exits with status 75."""

    requires = ("celery.worker.components:Pool", OneAtATime)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.gpu_vram = worker.gpu_lock = worker.gpu_watchdog = None

    def start(self, worker: Any) -> None:
        """Find the GPU and lock it; a standby waits for the lock."""
        from singletrack_worker.assembly import build_vram
        from singletrack_worker.tenure.tenure import HeldByAnother, host_lock, take_lock

        config: GPUResourceConfig = worker.app.gpu_config
        try:
            worker.gpu_vram = build_vram(config)
            found = worker.gpu_vram.gpu
            uuid = found.uuid if found is not None and config.gpu == "auto" else None
            what = f"the GPU {uuid}" if uuid else f"the track {config.track}"
            lock = host_lock(config, uuid)
            take_lock(lock, what, standby=config.standby, go_on=maybe_shutdown)
        except HeldByAnother as error:
            _end_as_held(error)
        except SingletrackError as error:
            raise SystemExit(f"The worker cannot start: {error}") from error
        worker.gpu_lock = lock

    def stop(self, worker: Any) -> None:
        """Release the lock, the last of all; harmless when repeated."""
        if worker.gpu_watchdog is not None:
            worker.gpu_watchdog.stop()
            worker.gpu_watchdog = None
        if worker.gpu_lock is not None:
            worker.gpu_lock.release()
            worker.gpu_lock = None

    def terminate(self, worker: Any) -> None:
        """End as `stop` does."""
        self.stop(worker)


class HoldTrack(bootsteps.StartStopStep):
    """Takes the lease on the track and opens its inbox, or exits with status 75."""

    requires = (LockHost,)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.gpu_redis = worker.gpu_tenure = None

    def start(self, worker: Any) -> None:
        """Connect, take the lease, and put back what earlier workers left; a standby waits for the lease."""
        from singletrack_worker.store.connection import connect
        from singletrack_worker.tenure.tenure import HeldByAnother, Tenure

        config: GPUResourceConfig = worker.app.gpu_config
        try:
            worker.gpu_redis = connect(config)
            tenure = _tenure(Tenure, worker, config)
            tenure.begin(maybe_shutdown)
        except HeldByAnother as error:
            _end_as_held(error)
        except SingletrackError as error:
            raise SystemExit(f"The worker cannot start: {error}") from error
        worker.gpu_tenure = tenure
        inbox.provide(tenure.inbox)

    def stop(self, worker: Any) -> None:
        """Put back what is in hand and give the lease back; harmless when repeated."""
        inbox.provide(None)
        if worker.gpu_tenure is not None:
            worker.gpu_tenure.end()
            worker.gpu_tenure = None
        if worker.gpu_redis is not None:
            worker.gpu_redis.close()
            worker.gpu_redis = None

    def terminate(self, worker: Any) -> None:
        """End as `stop` does."""
        self.stop(worker)


class Manage(bootsteps.StartStopStep):
    """Starts the manager before the first task, and stops it after the last."""

    requires = (HoldTrack,)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.gpu_worker = worker.gpu_stopping = worker.gpu_metrics = worker.gpu_stalls = None

    def start(self, worker: Any) -> None:
        """Build the manager, let it take stock, and give it to the tasks."""
        from singletrack_worker.assembly import Worker
        from singletrack_worker.sight.metrics_server import MetricsServer
        from singletrack_worker.tenure.watchdog import Watchdog

        config: GPUResourceConfig = worker.app.gpu_config
        tenure = worker.gpu_tenure
        worker.gpu_metrics = MetricsServer(config)
        try:
            worker.gpu_worker = Worker(
                config,
                worker.gpu_redis,
                worker.gpu_vram,
                tenure.writer,
                telemetry=worker.gpu_metrics.metrics,
                tenure=tenure,
            )
        except SingletrackError as error:
            raise SystemExit(f"The worker cannot start: {error}") from error
        manager = worker.gpu_worker.manager
        worker.gpu_metrics.start(manager.glance)
        worker.gpu_stopping = Stopping(config.grace_s, manager, tenure.inbox.give_back, tenure.abandon)
        worker.gpu_stopping.hear_signals()
        # First, since the start may take longer than the lease lasts.
        tenure.keep(manager, partial(_end, worker))
        worker.gpu_watchdog = Watchdog(worker.gpu_lock.path, partial(getattr, tenure, "token"), tenure.troubles)
        worker.gpu_watchdog.start()
        worker.gpu_worker.start(after_a_death=tenure.inherited > 0)
        worker.app.gpu = manager
        worker.gpu_stalls = _stall_watch(worker)
        worker.gpu_stalls.start()

    def stop(self, worker: Any) -> None:
        """Let the operation in flight finish, then stop the encoders; harmless when repeated."""
        if worker.gpu_stopping is not None:
            worker.gpu_stopping.begin()
        if worker.gpu_stalls is not None:
            worker.gpu_stalls.stop()
            worker.gpu_stalls = None
        worker.pool.stop()
        if worker.gpu_stopping is not None:
            worker.gpu_stopping.over()
            worker.gpu_stopping = None
        if worker.gpu_worker is not None:
            worker.app.gpu = None
        if worker.gpu_metrics is not None:
            worker.gpu_metrics.stop()
            worker.gpu_metrics = None
        if worker.gpu_worker is not None:
            worker.gpu_worker.stop()
            worker.gpu_worker = None

    def terminate(self, worker: Any) -> None:
        """End as `stop` does."""
        self.stop(worker)


BOOTSTEPS = (OneAtATime, LockHost, HoldTrack, Manage)


def _tenure(tenure_class: Any, worker: Any, config: GPUResourceConfig) -> Any:
    try:
        return tenure_class(worker.gpu_redis, config, worker.gpu_lock, tasks=TASKS, standby=config.standby)
    except redis.RedisError as error:
        raise RedisUnavailable(f"cannot prepare the track: {error}") from error


def _stall_watch(worker: Any) -> Any:
    from singletrack_worker.delivery.stall_watch import StallListener, StallWatch
    from singletrack_worker.tenure.tenure import EX_HOPELESS

    def put_back(job_id: str) -> None:
        worker.gpu_worker.put_back(job_id)
        worker.gpu_metrics.metrics.put_back()

    tenure = worker.gpu_tenure
    listener = StallListener(put_back, partial(_end, worker, EX_HOPELESS))
    return StallWatch(tenure.inbox, tenure.troubles, lambda: tenure.holds(tenure.token) is True, listener)


def _end(worker: Any, status: int) -> None:
    """End a worker that runs, from any of its threads, with this exit status."""
    # Whatever the main thread is waiting for, the process ends when the time of the operation in flight is up.
    if worker.gpu_stopping is not None:
        worker.gpu_stopping.begin(status)
    setattr(celerys_state, "should_stop", status)  # noqa: B010 - the stubs know of no status


def _end_as_held(error: Exception) -> NoReturn:
    """Exit with the status that tells a service manager to try again later."""
    _log.critical("%s", error)
    raise SystemExit(EX_HELD)
