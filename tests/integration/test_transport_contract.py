"""What the safe transport and the result backend rely on of kombu and Celery, which promise none of it.

A release that changes any of this fails here, with its name, before it loses a message.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery.backends.base import BaseKeyValueStoreBackend
from celery.backends.redis import RedisBackend
from celery.worker.request import Request
from kombu import Connection, Consumer, Queue
from kombu.transport import redis as stock
from kombu.transport import virtual

from singletrack_tasks.keys import QUEUE, Keys
from singletrack_worker.delivery import inbox as inboxes
from singletrack_worker.delivery.inbox import Inbox
from singletrack_worker.delivery.scripts import Scripts
from singletrack_worker.delivery.transport import QoS, WorkerChannel
from tests.unit.worker.messages import message, raw

KEYS = Keys("contract")
TRANSPORT = "singletrack_worker.delivery.transport:WorkerTransport"
TOKEN = 5
# The stubs leave their private methods out.
POLLER: Any = stock.MultiChannelPoller
BACKEND: Any = RedisBackend


def source(function: Any) -> str:
    return inspect.getsource(function)


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (stock.Channel, "_brpop_start", ["self", "timeout"]),
        (stock.Channel, "_brpop_read", ["self", "options"]),
        (stock.Channel, "_flush_brpop_reauth", ["self"]),
        (stock.Channel, "close", ["self"]),
        (virtual.QoS, "ack", ["self", "delivery_tag"]),
        (virtual.QoS, "append", ["self", "message", "delivery_tag"]),
        (virtual.QoS, "restore_unacked_once", ["self", "stderr"]),
        (virtual.QoS, "_flush", ["self"]),
        (virtual.QoS, "can_consume", ["self"]),
        (virtual.Transport, "_deliver", ["self", "message", "queue"]),
        (
            BaseKeyValueStoreBackend,
            "_store_result",
            ["self", "task_id", "result", "state", "traceback", "request", "kwargs"],
        ),
        (
            RedisBackend,
            "_get_result_meta",
            ["self", "result", "state", "traceback", "request", "format_date", "encode"],
        ),
    ],
)
def test_what_is_overridden_and_called_is_there(owner: Any, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        # A message is asked for by this method and no other, when none has been asked for.
        (POLLER._register_BRPOP, "if not channel._in_poll"),
        (POLLER._register_BRPOP, "channel._brpop_start()"),
        # An answer is read by the handler of this name.
        (stock.Channel.__init__, "self.handlers = {'BRPOP': self._brpop_read"),
        (POLLER.on_readable, "chan.handlers[type]()"),
        # What is overdue is known by these.
        (POLLER.maybe_check_brpop_health, "channel._brpop_sent_at"),
        (stock.Channel.close, "self._closing = True"),
        (stock.Channel.close, "if self._in_poll:"),
        (virtual.Channel.close, "self._qos.restore_unacked_once()"),
        (virtual.Channel.basic_consume, "self.qos.append(message, message.delivery_tag)"),
        (virtual.Channel.basic_consume, "self.connection._callbacks[queue] = _callback"),
        (virtual.Channel.basic_ack, "self.qos.ack(delivery_tag)"),
        (virtual.Channel.basic_reject, "self.qos.reject(delivery_tag, requeue=requeue)"),
        # A result that is on its way is heard of in this channel.
        (BACKEND._set, "pipe.publish(key, value)"),
        # What ends with these is let go, or put back.
        (Request.on_failure, "isinstance(exc, Ignore)"),
        (Request.on_failure, "self.reject(requeue=exc.requeue)"),
    ],
)
def test_what_is_relied_on_is_done(caller: Any, words: str) -> None:
    assert words in source(caller)


def test_nothing_else_of_kombu_takes_messages_off_a_queue() -> None:
    takes = re.compile(r"client\.b?[lr]pop\(|command_args = \['|\.b?l(move|mpop)\(")
    methods = {name: member for name, member in vars(stock.Channel).items() if inspect.isfunction(member)}
    takers = sorted(name for name, member in methods.items() if takes.search(source(member)))
    # The second is only for those who fetch a message themselves, which no consumer does.
    assert takers == ["_brpop_start", "_get"]


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as made:
        for name in made.scan_iter(f"{KEYS.prefix}*"):
            made.delete(name)
        yield made


@pytest.fixture
def inbox(connection: redis.Redis) -> Iterator[Inbox]:
    made = Inbox(KEYS, Scripts(connection), host="here", tasks={"gpu.ping"})
    connection.set(KEYS.fence, TOKEN)
    made.open(TOKEN)
    inboxes.provide(made)
    yield made
    inboxes.provide(None)


@pytest.fixture
def broker(redis_url: str) -> Iterator[Connection]:
    options = {"global_keyprefix": KEYS.prefix, "priority_steps": [0], "socket_timeout": 5}
    with Connection(redis_url, transport=TRANSPORT, transport_options=options) as made:
        yield made


def drain(broker: Connection) -> None:
    try:
        broker.drain_events(timeout=2)
    except TimeoutError:
        return


def test_a_message_goes_the_safe_way_under_a_prefix(broker: Connection, inbox: Inbox, connection: redis.Redis) -> None:
    got: list[Any] = []
    channel: Any = broker.default_channel
    assert (type(channel), type(channel.qos)) == (WorkerChannel, QoS)
    consumer = Consumer(
        channel, [Queue(QUEUE, routing_key=QUEUE)], callbacks=[lambda _, m: got.append(m)], accept=["json"]
    )
    with consumer:
        connection.lpush(KEYS.queue, raw(message(job_id="one")), raw(message(job_id="two")))
        while not got:
            drain(broker)
        (first,) = got
        assert first.headers["id"] == "one"
        assert connection.llen(KEYS.taken(TOKEN)) == 1
        # One is in hand: the other one stays where it is.
        drain(broker)
        assert len(got) == 1
        assert connection.llen(KEYS.queue) == 1
        first.ack()
        while len(got) < 2:
            drain(broker)
        assert connection.llen(KEYS.taken(TOKEN)) == 1
        got[1].reject(requeue=True)
        assert connection.llen(KEYS.queue) == 1
    assert not connection.exists(f"{KEYS.prefix}unacked", f"{KEYS.prefix}unacked_index", KEYS.taken(TOKEN))


def test_what_is_moved_while_a_channel_closes_is_left_where_it_is_found(
    broker: Connection, inbox: Inbox, connection: redis.Redis
) -> None:
    channel: Any = broker.default_channel
    consumer = Consumer(channel, [Queue(QUEUE, routing_key=QUEUE)], callbacks=[lambda *_: None], accept=["json"])
    consumer.consume()
    drain(broker)
    channel._brpop_start()
    connection.lpush(KEYS.queue, raw(message(job_id="late")))
    channel.close()
    assert inbox.ready
    assert connection.llen(KEYS.queue) + connection.llen(KEYS.taken(TOKEN)) == 1
    inbox.recover()
    assert connection.llen(KEYS.queue) == 1


def test_other_queues_are_kombus_own(broker: Connection, connection: redis.Redis) -> None:
    """Replies to remote control go this way, in processes that have no inbox."""
    got: list[Any] = []
    queue = Queue("replies", routing_key="replies")
    with Consumer(broker, [queue], callbacks=[lambda body, _: got.append(body)], accept=["json"], no_ack=True):
        broker.Producer().publish({"pong": 1}, routing_key="replies")
        while not got:
            drain(broker)
    assert got == [{"pong": 1}]
