"""Kombu's Redis transport, made safe for the queue of a GPU.

Stock kombu pops a message and records it in a second step: a worker that dies in between loses the message. Here the
pop is a move (`BLMOVE`) to a list of the worker's own, and `Inbox` decides what becomes of the message. All other
queues, such as the replies to remote control, are left to kombu. `tests/integration/test_transport_contract.py` pins
down what this module relies on in kombu.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

import redis
from kombu.transport import redis as stock
from kombu.transport import virtual

from singletrack_tasks.keys import QUEUE
from singletrack_worker.delivery import inbox as inboxes
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.lines import PLAIN_LINE, TLS_LINE

_log = logging.getLogger(__name__)

# The stubs omit the private methods that are overridden and called here.
_StockQoS: Any = virtual.QoS
_StockChannel: Any = stock.Channel

# How often to look for messages that were moved here but never arrived.
RECOVER_EVERY_S = 5.0
# How long to wait before the next look while Redis refuses to move a message by `BLMOVE`.
FULL_WAIT_S = 0.2
# What Redis says while it has fewer replicas than `min-replicas-to-write`.
_NO_REPLICAS = "NOREPLICAS"


class QoS(_StockQoS):  # type: ignore[misc] # see above
    """Knows which messages this channel delivered; the inbox knows where they are."""

    def can_consume(self) -> bool:
        """Return whether a message may come; one that was put back behind Celery's back takes no place any more."""
        if (inbox := inboxes.current()) is not None:
            for tag in [tag for tag in self._delivered if inbox.lost(tag)]:
                super().ack(tag)
        return bool(super().can_consume())

    def ack(self, delivery_tag: str) -> None:
        """Let go of a message."""
        if (inbox := inboxes.current()) is not None:
            inbox.done(delivery_tag)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Let go of a message, or put it back."""
        if (inbox := inboxes.current()) is not None:
            inbox.put_back(delivery_tag) if requeue else inbox.done(delivery_tag)
        super().ack(delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Put back messages that were delivered but do not run; one that runs stays in hand without its connection."""
        self._on_collect.cancel()
        self._flush()
        inbox = inboxes.current()
        if inbox is not None:
            for tag in list(self._delivered):
                inbox.put_back_unclaimed(tag)
        self._delivered.clear()
        self._delivered.restored = True


class WorkerChannel(_StockChannel):  # type: ignore[misc] # see above
    """A channel that takes the messages of the GPU's queue through the inbox."""

    QoS = QoS
    connection_class = PLAIN_LINE
    connection_class_ssl = TLS_LINE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handlers["BRPOP"] = self._read
        self._moving = False
        self._token = 0
        # Whether Redis refused the last move, or is full and had no message; whether this was logged.
        self._full = self._told_full = False
        self._recover_at_s = 0.0

    def _receive_one(self, connection: Any) -> Any:
        """Read what was sent to everybody, such as remote control; what is no message is dropped."""
        try:
            return super()._receive_one(connection)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
            # Kombu checks that it is JSON, and nothing more: the worker would end of it.
            _log.warning("dropped what was sent to all workers and is no message", exc_info=True)
            raise Empty from None

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask Redis for the next message."""
        if QUEUE not in self.active_queues:
            super()._brpop_start(timeout)
            return
        inbox = inboxes.current()
        if inbox is None or not inbox.ready:
            return
        recovered = self._recovered_now_and_then(inbox)
        self._full = self._full or not recovered
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        self._moving = not self._full
        # The message will lie in the list of this token, whatever happens to the lease meanwhile.
        self._token = inbox.token
        self.client.connection.send_command(*self._waiting(inbox, timeout or self.brpop_timeout))

    def _waiting(self, inbox: Inbox, timeout_s: float) -> tuple[str | float, ...]:
        if self._full:
            # Nothing is ever added there: this is a pause that does not block the event loop, and no write.
            return ("XREAD", "BLOCK", int(FULL_WAIT_S * 1000), "STREAMS", f"{inbox.queue}:nothing", "$")
        return ("BLMOVE", inbox.queue, inbox.taken, "RIGHT", "LEFT", timeout_s)

    def _recovered_now_and_then(self, inbox: Inbox) -> bool:
        """Put back what never arrived, if it is time to; whether Redis let it."""
        if time.monotonic() < self._recover_at_s:
            return True
        try:
            inbox.recover()
        except redis.ResponseError as error:
            self._tell_refusal(error)
            return False
        self._recover_at_s = time.monotonic() + RECOVER_EVERY_S
        return True

    def _read(self, **options: Any) -> bool:
        """Read Redis's answer, and deliver the message, if any."""
        if QUEUE not in self.active_queues and not self._moving:
            return bool(self._brpop_read(**options))
        raw = self._answer(**options)
        if self._closing:
            # A message that was moved is found by the next look.
            raise Empty
        inbox = inboxes.current()
        if raw is None or inbox is None:
            raise Empty
        if QUEUE not in self.connection._callbacks:  # noqa: SLF001 - the transport is this class's other half
            # Nobody would get it: it does not start, and the next look finds it.
            raise Empty
        try:
            envelope = inbox.admit(raw, self._token)
        except redis.ResponseError as error:
            self._tell_refusal(error)
            # It lies in this worker's list: the next look, which waits until Redis lets it, puts it back.
            self._full, self._recover_at_s = True, 0.0
            raise Empty from error
        if envelope is None:
            raise Empty
        self.connection._deliver(envelope.payload, QUEUE)  # noqa: SLF001 - as above
        return True

    def _answer(self, **options: Any) -> bytes | None:
        """Return the message that came, None if none did."""
        moving, self._moving, waited, self._full = self._moving, False, self._full, False
        try:
            with self._connection_that_may_fail():
                answer: bytes | None = self.client.parse_response(self.client.connection, "BLMOVE", **options)
        except redis.ResponseError as error:
            self._tell_refusal(error)
            return self._take_now()
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if moving:
            self._told_full = False
        return self._take_now() if waited else answer

    def _take_now(self) -> bytes | None:
        """Take a message without waiting, as a full Redis allows; if none comes, the next request is a pause."""
        inbox = inboxes.current()
        raw = None
        if inbox is not None and inbox.ready:
            self._token = inbox.token
            try:
                raw = inbox.take_now(self._token)
            except redis.ResponseError as error:
                self._tell_refusal(error)
        self._full = raw is None
        return raw

    def _tell_refusal(self, error: redis.ResponseError) -> None:
        """Log once that Redis is full or has no replica; raises any other error, which has the worker connect anew."""
        full, refusal = isinstance(error, redis.OutOfMemoryError), str(error)
        if not full and _NO_REPLICAS not in refusal:
            raise error
        if not self._told_full:
            if full:
                _log.warning("Redis is out of memory: messages are taken one by one until it is not")
            else:
                _log.warning("no message is taken while Redis refuses writes: %s", refusal)
            self._told_full = True

    @contextmanager
    def _connection_that_may_fail(self) -> Iterator[None]:
        try:
            yield
        except self.connection_errors:
            # The next round reconnects.
            self.client.connection.disconnect()
            raise

    def close(self) -> None:
        """Close; a message that is being moved here is left for the next look to find."""
        self._closing = True
        if self._in_poll and self._moving:
            try:
                self._read()
            except (Empty, *self.connection_errors):
                self._in_poll = None
        super().close()


class WorkerTransport(stock.Transport):
    """The worker's transport, for Celery's setting `broker_transport`."""

    Channel = WorkerChannel
