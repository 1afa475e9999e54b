"""Celery's side of a client in one process: its app, its connections to the broker, and those to the results."""

import logging
import threading
import weakref
from functools import cached_property
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.result import AsyncResult
from kombu import Connection
from kombu.pools import ProducerPool
from redis.exceptions import RedisError

from singletrack.wire.broker_pool import BrokerConnection, BrokerPool
from singletrack.wire.forks import renew_after_fork
from singletrack.wire.lines import ClientBackend
from singletrack.wire.link import CLIENT_NAME
from singletrack.wire.settings import ClientSettings
from singletrack.wire.transport import LIMITS_KEY, ClientChannel, ClientTransport
from singletrack_tasks.keys import QUEUE, RESULT_TTL_S, Keys
from singletrack_tasks.redis_silence import REPLY_TIMEOUT_S

_log = logging.getLogger(__name__)
_MOST_CONNECTIONS = 32
_BACKEND = f"{ClientBackend.__module__}:{ClientBackend.__name__}"
# Kombu and Celery try for ever unless told otherwise.
RETRIES = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}


class _App(Celery):
    """A Celery app that keeps to its own server: stock Celery prefers `CELERY_BROKER_URL`, which is the agent's."""

    def __init__(self, url: str) -> None:
        super().__init__("singletrack", set_as_current=False, fixups=[])
        self._url = url
        self.backend_cls = f"{_BACKEND}+{url}"
        self.closed = False

    def connection_for_write(self, url: str | None = None, **options: Any) -> Connection:
        return super().connection_for_write(url or self._url, **options)


class Handle(AsyncResult):  # type: ignore[type-arg] # generic in the stubs only
    """Celery's handle on a result; forgetting one does no harm after its Redis has gone."""

    released = False
    # What was put on the queue, as it lies there; '' if this handle sent nothing.
    message = ""

    def __del__(self) -> None:
        """Unsubscribe."""
        self.release()

    def release(self) -> None:
        """Stop listening; harmless when repeated, and once the client is closed."""
        if self.released or getattr(self.app, "closed", True):
            # Unsubscribing would connect again.
            return
        self.released = True
        try:
            backend: Any = self.backend
            backend.remove_pending_result(self)
        except (RedisError, OSError, RuntimeError) as error:
            # The subscription went with its server.
            _log.debug("could not unsubscribe from the result of %s: %s", self.id, error)


class _ProducerPool(ProducerPool):
    """A pool that Celery's own processes leave alone when they fork: a new one is made there."""

    close_after_fork = False


class CeleryLine:
    """One process's line to a track's queue and results; safe to use from several threads."""

    def __init__(self, settings: ClientSettings) -> None:
        self.app = _app(settings)
        self._connections = BrokerPool(self.app.connection_for_write(), limit=_MOST_CONNECTIONS)
        self.producers: Any = _ProducerPool(self._connections, limit=_MOST_CONNECTIONS, Producer=self.app.amqp.Producer)
        self._lock = threading.Lock()
        # Celery keeps one result backend a thread; they are noted here so that they can be closed.
        self._backends: weakref.WeakSet[Any] = weakref.WeakSet()

    def handle(self, job_id: str) -> Handle:
        """Make a handle on a result; it belongs to the calling thread."""
        return self.note(Handle(job_id, app=self.app))

    def note(self, handle: Handle) -> Handle:
        """Note the connection over which a handle listens."""
        with self._lock:
            self._backends.add(handle.backend)
        return handle

    def leave_thread(self) -> None:
        """Close the connections over which the calling thread listens."""
        backend = self.app.backend
        with self._lock:
            self._backends.discard(backend)
        _disconnect(backend)

    def abandon(self) -> None:
        """Leave everything as it is, to the process that made it."""
        self.app.closed = True

    def close(self) -> None:
        """Close the connections of all threads."""
        self.app.closed = True
        self.producers.force_close_all()
        self._connections.force_close_all()
        with self._lock:
            backends = list(self._backends)
        for backend in backends:
            _disconnect(backend)
        self.app.close()


class _ClassLocks:
    """The locks of cached properties: one for all instances, of the parent's client and of its child's."""

    _CLASSES: tuple[type, ...] = (_App, AMQP, ClientBackend, Handle, BrokerConnection, ClientTransport, ClientChannel)

    def renew(self) -> None:
        """Replace them: another thread may have held one at the fork."""
        for cls in self._CLASSES:
            for member in (member for base in cls.__mro__ for member in vars(base).values()):
                if isinstance(member, cached_property) and hasattr(member, "lock"):
                    member.lock = threading.RLock()


_class_locks = _ClassLocks()
renew_after_fork(_class_locks)


def _app(settings: ClientSettings) -> _App:
    keys = Keys(settings.track)
    prefix = keys.prefix
    app = _App(settings.redis_address)
    app.conf.update(
        broker_transport="singletrack.wire.transport:ClientTransport",
        broker_transport_options={
            "global_keyprefix": prefix,
            LIMITS_KEY: keys.limits,
            "socket_timeout": REPLY_TIMEOUT_S,
            "socket_connect_timeout": REPLY_TIMEOUT_S,
            "client_name": CLIENT_NAME,
            **RETRIES,
        },
        result_backend_transport_options={"global_keyprefix": prefix, "retry_policy": RETRIES},
        redis_socket_timeout=REPLY_TIMEOUT_S,
        redis_socket_connect_timeout=REPLY_TIMEOUT_S,
        redis_client_name=CLIENT_NAME,
        result_expires=RESULT_TTL_S,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_default_queue=QUEUE,
    )
    return app


def _disconnect(backend: Any) -> None:
    backend.result_consumer.stop()
    backend.client.connection_pool.disconnect()
