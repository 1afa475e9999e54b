"""What Celery does with a message that was let in: its strategy, its request, its tracer, all in one thread."""

from types import SimpleNamespace
from typing import Any

from celery import Celery
from celery.app.trace import build_tracer
from celery.concurrency.solo import TaskPool
from celery.worker import state as worker_state
from celery.worker.strategy import default
from kombu.transport.virtual import Channel, Message
from kombu.utils import json as kombu_json

from singletrack_worker.delivery.envelope import Envelope
from singletrack_worker.delivery.inbox import Inbox


class Events:
    """Takes events as the dispatcher does, which writes them as JSON."""

    enabled = True

    def send(self, kind: str, **fields: Any) -> None:
        kombu_json.dumps(fields).encode("utf-8")


def run(app: Celery, inbox: Inbox, envelope: Envelope) -> None:
    """Run a message to its end; whatever Celery raises outside the task comes out here."""
    task: Any = app.tasks[envelope.task]
    pool: Any = TaskPool(app=app)
    consumer = SimpleNamespace(
        hostname="here",
        connection_errors=(),
        event_dispatcher=Events(),
        timer=SimpleNamespace(call_at=None),
        apply_eta_task=None,
        disable_rate_limits=True,
        task_buckets={},
        on_task_request=lambda request: request.execute_using_pool(pool),
        _limit_task=None,
        _limit_post_eta=None,
        controller=SimpleNamespace(state=worker_state),
        pool=pool,
    )
    task.__trace__ = build_tracer(task.name, task, app.loader, "here", app=app)

    def ack(*_: Any) -> None:
        inbox.done(envelope.tag)

    def reject(*_: Any, requeue: bool = False) -> None:
        inbox.put_back(envelope.tag) if requeue else inbox.done(envelope.tag)

    channel = SimpleNamespace(decode_body=Channel.decode_body.__get__(Channel), no_ack_consumers=None)
    made: Any = Message
    message = made(envelope.payload, channel=channel, accept={"application/json"})
    default(task, app, consumer)(message, None, ack, reject, [])
