"""Kombu's Redis transport for a client: a full queue refuses a message in the step that would add it."""

from functools import cached_property
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps

from singletrack.wire.lines import PLAIN, TLS
from singletrack_tasks.errors import QueueFull
from singletrack_tasks.keys import QUEUE, QUEUE_MAX

LIMITS_KEY = "limits_key"

# KEYS: the queue, the limits. ARGV: the message, how many there may be where the limits do not say.
# Returns {how many there are, how many there may be} if the queue is full, else nothing.
_PUSH = """
local most = tonumber(redis.call('HGET', KEYS[2], 'queue_max')) or tonumber(ARGV[2])
local queued = redis.call('LLEN', KEYS[1])
if queued >= most then return {queued, most} end
redis.call('LPUSH', KEYS[1], ARGV[1])
return false
"""


class ClientChannel(kombu_redis.Channel):
    """A channel that counts the queue and adds a message in one step."""

    connection_class = PLAIN
    connection_class_ssl = TLS
    # The key of the limits, in full; kombu sets it from the transport's options.
    limits_key = ""
    # The message that was put on the queue last.
    pushed = ""
    from_transport_options = (*kombu_redis.Channel.from_transport_options, LIMITS_KEY)

    @cached_property
    def _push(self) -> Any:
        return self.client.register_script(_PUSH)

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        """Put a message on a queue; raises `QueueFull`, which kombu does not retry."""
        if queue != QUEUE:
            super()._put(queue, message, **options)
            return
        text = dumps(message)
        with self.conn_or_acquire() as client:
            # Kombu's client prefixes the first key of an EVALSHA, and no other.
            full = self._push(keys=[queue, self.limits_key], args=[text, QUEUE_MAX], client=client)
        if full:
            raise _queue_full(*full)
        self.pushed = text


class ClientTransport(kombu_redis.Transport):
    """The Redis transport with these channels."""

    Channel = ClientChannel


def _queue_full(queued: int, queue_max: int) -> QueueFull:
    return QueueFull(
        f"the queue is full: {queued:,} jobs wait, and {queue_max:,} may. Try again when it is shorter "
        "(see `singletrack status`), or raise the worker's SINGLETRACK_QUEUE_MAX.",
        {"queued": queued, "queue_max": queue_max},
    )
