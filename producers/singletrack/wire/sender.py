"""Puts messages on a track's queue, and listens for results, with a Celery app of its own."""

import logging
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import Celery, states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult
from kombu import Connection, Exchange, Producer
from kombu.pools import ProducerPool
from redis.exceptions import RedisError

from singletrack.wire.broker_pool import BrokerPool
from singletrack.wire.link import CLIENT_NAME, SOCKET_TIMEOUT_S
from singletrack.wire.redis_errors import reaching_redis, unavailable
from singletrack.wire.settings import ClientSettings
from singletrack.wire.transport import LIMITS_KEY
from singletrack_tasks.errors import JobCancelled, QueueFull, SingletrackError, WorkerFailure
from singletrack_tasks.keys import QUEUE, RESULT_TTL_S, Keys
from singletrack_tasks.requests.request import Request

_log = logging.getLogger(__name__)
_MOST_CONNECTIONS = 32
# Kombu and Celery try for ever unless told otherwise.
_RETRIES = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}


@dataclass(frozen=True)
class Outcome:
    """What became of a job so far: one of Celery's states, and its result or its error once it has ended."""

    state: str
    payload: Any = None
    error: SingletrackError | None = None

    @property
    def ended(self) -> bool:
        """Whether there is a result or an error."""
        return self.error is not None or self.state == states.SUCCESS


class _App(Celery):
    """A Celery app that keeps to its own server: stock Celery prefers `CELERY_BROKER_URL`, which is the agent's."""

    def __init__(self, url: str) -> None:
        super().__init__("singletrack", set_as_current=False, fixups=[])
        self._url = url
        self.backend_cls = url
        self.closed = False

    def connection_for_write(self, url: str | None = None, **options: Any) -> Connection:
        return super().connection_for_write(url or self._url, **options)


class Handle(AsyncResult):  # type: ignore[type-arg] # generic in the stubs only
    """Celery's handle on a result; forgetting one does no harm after its Redis has gone."""

    released = False

    def __del__(self) -> None:
        """Unsubscribe, unless the client is closed."""
        if not getattr(self.app, "closed", True):
            self.release()

    def release(self) -> None:
        """Stop listening; harmless when repeated."""
        if self.released:
            # Unsubscribing once more would connect again.
            return
        self.released = True
        try:
            backend: Any = self.backend
            backend.remove_pending_result(self)
        except (RedisError, OSError, RuntimeError) as error:
            # The subscription went with its server.
            _log.debug("could not unsubscribe from the result of %s: %s", self.id, error)


class Sender:
    """The queue of one track, for sending requests and getting results; safe to use from several threads."""

    def __init__(self, settings: ClientSettings) -> None:
        self._url = settings.redis_url
        self._app = _app(settings)
        self._connections = BrokerPool(self._app.connection_for_write(), limit=_MOST_CONNECTIONS)
        self._producers: Any = ProducerPool(
            self._connections, limit=_MOST_CONNECTIONS, Producer=self._app.amqp.Producer
        )
        self._lock = threading.Lock()
        # Celery keeps one result backend a thread; they are noted here so that they can be closed.
        self._backends: weakref.WeakSet[Any] = weakref.WeakSet()

    def send(self, request: Request[Any], job_id: str) -> Handle:
        """Put a request on the queue; raises `QueueFull` at once.

        Its `headers` can be read on the queue without opening the message.
        """
        data = request.dump()
        try:
            with self._producer() as producer:
                result: Any = self._app.send_task(
                    request.TASK,
                    kwargs={"request": data},
                    task_id=job_id,
                    queue=QUEUE,
                    producer=producer,
                    result_cls=self._handle,  # type: ignore[arg-type] # Celery calls it, whatever its stubs say
                    argsrepr="()",
                    kwargsrepr=request.outline(data),
                    headers=request.headers,
                    add_to_parent=False,
                    # The queue is a list, which the first message makes. A connection that is lost while kombu
                    # declares it leaves the producer with a channel that is closed.
                    declare=[],
                    retry=True,
                    retry_policy=_RETRIES,
                )
        except QueueFull:
            # Celery listens for a result before it sends.
            self.result(job_id).release()
            raise
        handle: Handle = result
        self._note(handle)
        return handle

    def tell_workers(self, command: str, arguments: dict[str, Any]) -> None:
        """Send a remote control command to the track's workers, without waiting for a reply."""
        # `Control.broadcast` would use the process's own pool, and retry for ever.
        exchange = Exchange(f"{self._app.conf.control_exchange}.pidbox", type="fanout", durable=False, delivery_mode=1)
        message = {"method": command, "arguments": arguments, "destination": None, "pattern": None, "matcher": None}
        with self._producer() as producer:
            producer.publish(
                message,
                exchange=exchange.name,
                declare=[exchange],
                headers={"clock": 0, "expires": 0},
                serializer="json",
                retry=True,
                retry_policy=_RETRIES,
            )

    def result(self, job_id: str) -> Handle:
        """Make a handle on a result; it belongs to the calling thread."""
        result = self._handle(job_id)
        self._note(result)
        return result

    def wait(self, result: Handle, timeout_s: float) -> Outcome | None:
        """Wait for a job to end, None if it does not in time; raises `RedisUnavailable`.

        Celery checks once a second whether the time is up.
        """
        with self._reaching():
            try:
                # Waiting subscribes, also after a release.
                result.released = False
                # An error of the job comes back as a value: what is raised here went wrong on the way.
                result.get(timeout=timeout_s, propagate=False, disable_sync_subtasks=False)
            except CeleryTimeoutError:
                return None
            return self._outcome(result)

    def look(self, job_id: str) -> Outcome:
        """Read what has become of a job so far."""
        with self._reaching():
            return self._outcome(self.result(job_id))

    def leave_thread(self) -> None:
        """Close the connections over which the calling thread listens, before it ends."""
        # Else only the garbage collector would: what Celery keeps for a thread refers to itself.
        backend = self._app.backend
        with self._lock:
            self._backends.discard(backend)
        _disconnect(backend)

    def close(self) -> None:
        """Close the connections of all threads."""
        self._app.closed = True
        self._producers.force_close_all()
        self._connections.force_close_all()
        with self._lock:
            backends = list(self._backends)
        for backend in backends:
            _disconnect(backend)
        self._app.close()

    def _outcome(self, result: Handle) -> Outcome:
        try:
            state, value = str(result.state), result.result
        except (TypeError, ValueError, SingletrackError) as error:
            return Outcome(states.FAILURE, error=_unexpected(error))
        if state == states.SUCCESS:
            return Outcome(state, payload=value)
        if state == states.REVOKED:
            return Outcome(state, error=JobCancelled(f"the job {result.id} was revoked"))
        if state == states.FAILURE:
            return Outcome(state, error=value if isinstance(value, SingletrackError) else _unexpected(value))
        return Outcome(state)

    def _handle(self, job_id: str) -> Handle:
        return Handle(job_id, app=self._app)

    def _note(self, result: Handle) -> None:
        with self._lock:
            self._backends.add(result.backend)

    @contextmanager
    def _producer(self) -> Iterator[Producer]:
        with self._reaching(), self._producers.acquire(block=True, timeout=SOCKET_TIMEOUT_S) as producer:
            yield producer

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        with reaching_redis(self._url):
            try:
                yield
            except RuntimeError as error:
                # Celery's result consumer hides a lost connection in a RuntimeError.
                if not isinstance(error.__cause__, RedisError | OSError):
                    raise
                raise unavailable(self._url, error) from error


def _app(settings: ClientSettings) -> _App:
    keys = Keys(settings.track)
    prefix = keys.prefix
    app = _App(settings.redis_url)
    app.conf.update(
        broker_transport="singletrack.wire.transport:ClientTransport",
        broker_transport_options={
            "global_keyprefix": prefix,
            LIMITS_KEY: keys.limits,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
            "client_name": CLIENT_NAME,
            **_RETRIES,
        },
        result_backend_transport_options={"global_keyprefix": prefix, "retry_policy": _RETRIES},
        redis_socket_timeout=SOCKET_TIMEOUT_S,
        redis_socket_connect_timeout=SOCKET_TIMEOUT_S,
        redis_socket_keepalive=True,
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


def _unexpected(error: object) -> WorkerFailure:
    return WorkerFailure(
        f"the job failed with {type(error).__name__}: {error}. The worker's log has the traceback; if it names "
        "something that is not known here, install the same release of singletrack at both ends.",
        {"type": type(error).__name__},
    )
