"""The Celery app of a track, and every setting that makes its delivery safe, each with its reason."""

import os
from typing import Any

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from singletrack_tasks.celery_tasks import Gpu, register
from singletrack_tasks.errors import InvalidConfiguration
from singletrack_tasks.keys import QUEUE, RESULT_TTL_S
from singletrack_tasks.upkeep import Tick
from singletrack_worker import logs
from singletrack_worker.bootsteps import STEPS
from singletrack_worker.settings import GPUResourceConfig

SOCKET_TIMEOUT_S = 5.0
RESULT_SHOWN_CHARS = 200
# By a short name of its own, which logs and Flower show.
TRANSPORT = "singletrack"
TRANSPORT_ALIASES[TRANSPORT] = "singletrack_worker.delivery.transport:WorkerTransport"
BACKEND = "singletrack_worker.delivery.results:TrackBackend"


class TrackApp(Celery):
    """A Celery app that carries the configuration of its track to the worker's steps, and its GPU to the tasks."""

    gpu_config: GPUResourceConfig
    # Between the start of a worker and its end.
    gpu: Gpu | None = None
    task_cls = "singletrack_worker.delivery.held_task:HeldTask"


def _refuse_celerys_own_urls() -> None:
    """Celery prefers these to any setting; here they would part the worker from its clients."""
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        if os.environ.get(name):
            raise InvalidConfiguration(f"{name} is set and would override SINGLETRACK_REDIS_URL: unset it")


def make_app(config: GPUResourceConfig) -> TrackApp:
    """Make the app of the track that the configuration names; connects to nothing yet."""
    _refuse_celerys_own_urls()
    app = TrackApp("singletrack", set_as_current=True)
    app.gpu_config = config
    app.conf.update(_settings(config))
    logs.set_up(config.track, config.log_format)
    # A result shows itself as a summary (`Outcome`); whatever else it may be is cut off.
    app.Task.resultrepr_maxsize = RESULT_SHOWN_CHARS
    register(app, lambda: app.gpu)
    for step in STEPS:
        app.steps["worker"].add(step)
    return app


def _settings(config: GPUResourceConfig) -> dict[str, Any]:
    url = config.redis_url.get_secret_value()
    return {
        "broker_url": url,
        # Messages are moved and not popped, and a result and the end of its message are one step.
        "broker_transport": TRANSPORT,
        "result_backend": f"{BACKEND}+{url}",
        # All keys of a track begin alike, Celery's own too: tracks share a Redis and never see each other.
        "broker_transport_options": {
            "global_keyprefix": config.keys.prefix,
            # One list, first in, first out: Redis priorities would make four of it and break the order.
            "priority_steps": [0],
            # Without time-outs a half-open connection is never noticed.
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "client_name": "singletrack-worker",
        },
        "result_backend_transport_options": {"global_keyprefix": config.keys.prefix},
        "redis_socket_timeout": SOCKET_TIMEOUT_S,
        "redis_socket_connect_timeout": SOCKET_TIMEOUT_S,
        "redis_socket_keepalive": True,
        "result_expires": RESULT_TTL_S,
        # JSON only: a message can name nothing that is run.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": QUEUE,
        # Any other queue's name is a mistake: it would wait there for ever.
        "task_create_missing_queues": False,
        # Threads answer ping and Flower during a long operation, fork nothing around CUDA, and run on Windows.
        "worker_pool": "threads",
        "worker_concurrency": 1,
        # Acknowledged after the work: a worker that dies leaves its message behind.
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        # True loses the task if the result backend is away too; the threads pool could not cancel it anyway.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis that is out of memory is waited for, instead of ending the worker.
        "broker_channel_error_retry": True,
        # The status says which job runs; a mark in the result's place would cost every job two round trips.
        "task_track_started": False,
        "worker_send_task_events": True,
        # Replies to remote control that nobody fetched go away by themselves.
        "control_queue_expires": 10.0,
        "beat_schedule": {
            "upkeep": {
                "task": Tick.TASK,
                "schedule": config.tick_interval_s,
                "kwargs": {"request": {}},
                # Gone before the next one is due: checks never pile up behind a long operation.
                "options": {"queue": QUEUE, "expires": config.tick_interval_s * 0.9, "ignore_result": True},
            }
        },
    }


app = make_app(GPUResourceConfig.from_environment())
