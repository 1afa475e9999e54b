"""The Celery app of a track, with every setting that makes its delivery safe."""

import os
from typing import Any

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from singletrack_tasks.celery_tasks import Gpu, register
from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.keys import QUEUE, RESULT_TTL_S
from singletrack_tasks.redis_address import tls_options
from singletrack_tasks.redis_silence import REPLY_TIMEOUT_S
from singletrack_worker import logs
from singletrack_worker.beat import beat_settings
from singletrack_worker.bootsteps import BOOTSTEPS
from singletrack_worker.delivery.reconnecting import RECONNECT_OPTIONS
from singletrack_worker.settings import GPUResourceConfig

RESULT_SHOWN_CHARS = 200
# A short name, since logs and Flower show it.
TRANSPORT = "singletrack"
TRANSPORT_ALIASES[TRANSPORT] = "singletrack_worker.delivery.transport:WorkerTransport"
BACKEND = "singletrack_worker.delivery.results:TrackBackend"


class TrackApp(Celery):
    """A Celery app that carries its track's configuration to the worker's steps, and the GPU to the tasks."""

    gpu_config: GPUResourceConfig
    # Between the start of a worker and its end.
    gpu: Gpu | None = None
    task_cls = "singletrack_worker.delivery.held_task:HeldTask"
    amqp_cls = "singletrack_worker.delivery.reconnecting:TrackAMQP"


def _refuse_celerys_own_urls() -> None:
    """Celery prefers these to any setting, which would separate the worker from its clients."""
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        if os.environ.get(name):
            raise InvalidConfiguration(f"{name} is set and would override SINGLETRACK_REDIS_URL: unset it")


def make_app(config: GPUResourceConfig) -> TrackApp:
    """Make the app of the configured track, without connecting; raises `InvalidConfiguration`."""
    _refuse_celerys_own_urls()
    app = TrackApp("singletrack", set_as_current=True)
    app.gpu_config = config
    app.conf.update(_settings(config))
    logs.set_up(config.track, config.log_format)
    # A result shows itself as a summary (`TaskReturn`); anything longer is cut.
    app.Task.resultrepr_maxsize = RESULT_SHOWN_CHARS
    register(app, lambda: app.gpu)
    for step in BOOTSTEPS:
        app.steps["worker"].add(step)
    return app


def _settings(config: GPUResourceConfig) -> dict[str, Any]:
    return _broker(config) | _results(config) | _delivery() | beat_settings(config.tick_interval_s)


def _broker(config: GPUResourceConfig) -> dict[str, Any]:
    return {
        "broker_url": config.redis_address,
        # The address has them as well; Flower reads them here.
        "broker_use_ssl": tls_options(config.redis_address),
        # Messages are moved instead of popped: none is lost on the way.
        "broker_transport": TRANSPORT,
        "broker_transport_options": {
            # All keys of a track, Celery's too, have one prefix: tracks can share a Redis without seeing each other.
            "global_keyprefix": config.keys.prefix,
            # One list, first in, first out: Redis priorities would split it into four and break the order.
            "priority_steps": [0],
            # Without timeouts a half-open connection is never noticed.
            "socket_timeout": REPLY_TIMEOUT_S,
            "socket_connect_timeout": REPLY_TIMEOUT_S,
            "health_check_interval": 5,
            "client_name": "singletrack-worker",
            **RECONNECT_OPTIONS,
        },
        # A Redis that is away or out of memory is waited for, instead of ending the worker.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        # Replies to remote control that nobody fetched expire.
        "control_queue_expires": 10.0,
    }


def _results(config: GPUResourceConfig) -> dict[str, Any]:
    return {
        # Under the worker's token, in one step with the end of the message.
        "result_backend": f"{BACKEND}+{config.redis_address}",
        # As for the broker.
        "result_backend_transport_options": {"global_keyprefix": config.keys.prefix},
        "redis_socket_timeout": REPLY_TIMEOUT_S,
        "redis_socket_connect_timeout": REPLY_TIMEOUT_S,
        "result_expires": RESULT_TTL_S,
        # The status says which job runs; a marker in place of the result would cost every job two round trips.
        "task_track_started": False,
    }


def _delivery() -> dict[str, Any]:
    return {
        # JSON only: a message can name nothing that would be executed.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": QUEUE,
        # Any other queue name is a mistake: its messages would wait for ever.
        "task_create_missing_queues": False,
        # Threads answer ping and Flower during a long operation, fork nothing around CUDA, and run on Windows.
        "worker_pool": "threads",
        "worker_concurrency": 1,
        # Acknowledged after the work: a worker that dies leaves its message behind.
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        # True would lose the task if the result backend is away too; the threads pool could not cancel it anyway.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Flower shows tasks by these.
        "worker_send_task_events": True,
    }


app = make_app(GPUResourceConfig.from_environment())
