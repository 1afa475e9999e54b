"""Puts messages on a track's queue, and listens for results, with a Celery app of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from kombu import Exchange, Producer
from redis.exceptions import RedisError

from singletrack.wire.celery_line import RETRIES, CeleryLine, Handle
from singletrack.wire.forks import renew_after_fork
from singletrack.wire.redis_errors import client_closed, reaching_redis, unavailable, while_open
from singletrack.wire.settings import ClientSettings
from singletrack_tasks.errors import JobCancelled, QueueFull, SingletrackError, WorkerFailure
from singletrack_tasks.keys import QUEUE
from singletrack_tasks.redis_silence import REPLY_TIMEOUT_S
from singletrack_tasks.requests.request import Request


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


class Sender:
    """The queue of one track, for sending requests and getting results; safe to use from several threads."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._url = settings.redis_address
        self._closed = False
        self._line_here: CeleryLine | None = None
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin anew in a child."""
        if self._line_here is not None:
            self._line_here.abandon()
        self._line_here = None
        self._lock = threading.Lock()

    def send(self, request: Request[Any], job_id: str) -> Handle:
        """Put a request on the queue; raises `QueueFull` at once.

        Its `headers` can be read on the queue without opening the message.
        """
        data = request.dump()
        try:
            with self._producer() as producer:
                line = self._line
                result: Any = line.app.send_task(
                    request.TASK,
                    kwargs={"request": data},
                    task_id=job_id,
                    queue=QUEUE,
                    producer=producer,
                    result_cls=line.handle,  # type: ignore[arg-type] # Celery calls it, whatever its stubs say
                    argsrepr="()",
                    kwargsrepr=request.outline(data),
                    headers=request.headers,
                    add_to_parent=False,
                    # The queue is a list, which the first message makes. A connection that is lost while kombu
                    # declares it leaves the producer with a channel that is closed.
                    declare=[],
                    retry=True,
                    retry_policy=RETRIES,
                )
                channel: Any = producer.channel
                result.message, channel.pushed = channel.pushed, ""
        except QueueFull:
            # Celery listens for a result before it sends.
            self.result(job_id).release()
            raise
        handle: Handle = result
        return handle

    def tell_workers(self, command: str, arguments: dict[str, Any]) -> None:
        """Send a remote control command to the track's workers, without waiting for a reply."""
        # `Control.broadcast` would use the process's own pool, and retry for ever.
        name = f"{self._line.app.conf.control_exchange}.pidbox"
        exchange = Exchange(name, type="fanout", durable=False, delivery_mode=1)
        message = {"method": command, "arguments": arguments, "destination": None, "pattern": None, "matcher": None}
        with self._producer() as producer:
            producer.publish(
                message,
                exchange=exchange.name,
                declare=[exchange],
                headers={"clock": 0, "expires": 0},
                serializer="json",
                retry=True,
                retry_policy=RETRIES,
            )

    def result(self, job_id: str) -> Handle:
        """Make a handle on a result; it belongs to the calling thread."""
        return self._line.handle(job_id)

    def made(self, result: Handle) -> bool:
        """Whether a handle was made in this process."""
        return self._line_here is not None and result.app is self._line_here.app

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
        if self._line_here is not None:
            self._line_here.leave_thread()

    def close(self) -> None:
        """Close the connections of all threads."""
        self._closed = True
        if self._line_here is not None:
            self._line_here.close()

    @property
    def _line(self) -> CeleryLine:
        """The line of this process, made on first use."""
        with self._lock:
            if self._closed:
                raise client_closed()
            if self._line_here is None:
                self._line_here = CeleryLine(self._settings)
            return self._line_here

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

    @contextmanager
    def _producer(self) -> Iterator[Producer]:
        with self._reaching(), self._line.producers.acquire(block=True, timeout=REPLY_TIMEOUT_S) as producer:
            yield producer

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        with while_open(lambda: self._closed), reaching_redis(self._url):
            try:
                yield
            except RuntimeError as error:
                # Celery's result consumer hides a lost connection in a RuntimeError.
                if not isinstance(error.__cause__, RedisError | OSError):
                    raise
                raise unavailable(self._url, error) from error


def _unexpected(error: object) -> WorkerFailure:
    return WorkerFailure(
        f"the job failed with {type(error).__name__}: {error}. The worker's log has the traceback; if it names "
        "something that is not known here, install the same release of singletrack at both ends.",
        {"type": type(error).__name__},
    )
