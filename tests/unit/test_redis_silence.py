"""Connections to Redis that go silent without being closed: who asks finds it out, and ends the others' waiting."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from singletrack.wire import lines as clients
from singletrack_ops.embedded.redis_server import EmbeddedRedis
from singletrack_tasks import redis_silence
from singletrack_worker.delivery import lines as workers
from tests.faults.proxy import Proxy

# The way through the silence would be to wait for ever.
LIMIT_S = 120
# Long enough for a server on a machine that is busy, where it does answer.
PATIENT_S = 30.0
SHORT_S = 0.3
CHANNEL = "news"

each_side = pytest.mark.parametrize("side", [clients.PLAIN, workers.PLAIN_LINE], ids=["client", "worker"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis.start(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def proxy(server: EmbeddedRedis) -> Iterator[Proxy]:
    port = urlsplit(server.url).port
    assert port is not None
    with Proxy(port) as made:
        yield made


@contextmanager
def connected(server: EmbeddedRedis, port: int, side: type[Any]) -> Iterator[redis.Redis]:
    """A client of one connection that tries everything once, and has used it."""
    url = server.url.replace(f":{urlsplit(server.url).port}", f":{port}")
    with redis.Redis.from_url(
        url, connection_class=side, socket_timeout=PATIENT_S, retry=Retry(NoBackoff(), 0), max_connections=1
    ) as client:
        client.ping()
        yield client


def listening(client: redis.Redis) -> "Future[Any]":
    """Wait for news in a thread, without a time-out, as kombu's and Celery's subscriptions do."""
    pubsub: Any = client.pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe(CHANNEL)
    assert pubsub.get_message(timeout=LIMIT_S)
    return in_thread(lambda: pubsub.connection.read_response(timeout=None))


def in_thread(wait: Callable[[], Any]) -> "Future[Any]":
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(wait())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def find_out(client: redis.Redis) -> None:
    """Ask, and hear nothing for a while."""
    pool: Any = client.connection_pool
    (connection,) = pool._get_free_connections()
    connection.update_current_socket_timeout(SHORT_S)
    with pytest.raises(redis.TimeoutError):
        client.ping()


def silent_for_ever(proxy: Proxy) -> None:
    """What is open stays silent, new connections work."""
    proxy.freeze()
    proxy.thaw(old_ones_too=False)


@each_side
def test_who_only_listens_hears_of_a_silence_that_another_one_found(
    server: EmbeddedRedis, proxy: Proxy, side: type[Any]
) -> None:
    with connected(server, proxy.port, side) as asks, connected(server, proxy.port, side) as listens:
        news = listening(listens)
        silent_for_ever(proxy)
        find_out(asks)
        with pytest.raises(redis.ConnectionError):
            news.result(LIMIT_S)
        # New ones work.
        assert asks.ping()


@each_side
def test_an_idle_connection_is_not_tried_before_a_new_one(server: EmbeddedRedis, proxy: Proxy, side: type[Any]) -> None:
    """With the time-out that it has, and no second try, it would not answer."""
    with connected(server, proxy.port, side) as asks, connected(server, proxy.port, side) as idle:
        silent_for_ever(proxy)
        find_out(asks)
        assert idle.ping()


def test_a_connection_that_was_heard_since_stays(server: EmbeddedRedis, proxy: Proxy) -> None:
    side = workers.PLAIN_LINE
    with connected(server, proxy.port, side) as asks:
        silent_for_ever(proxy)
        with connected(server, proxy.port, side) as later:
            number = later.client_id()
            # Heard in the time in which the other one waits.
            silence = in_thread(lambda: find_out(asks))
            while not silence.done():
                assert later.ping()
            silence.result()
            assert later.client_id() == number


def test_a_connection_to_another_address_stays(server: EmbeddedRedis, proxy: Proxy) -> None:
    side, port = workers.PLAIN_LINE, urlsplit(server.url).port
    assert port is not None
    with connected(server, proxy.port, side) as asks, connected(server, port, side) as elsewhere:
        number = elsewhere.client_id()
        silent_for_ever(proxy)
        find_out(asks)
        assert elsewhere.client_id() == number


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_a_fork_leaves_its_parents_connections_alone(server: EmbeddedRedis, proxy: Proxy) -> None:
    side = workers.PLAIN_LINE
    with connected(server, proxy.port, side) as parents:
        number = parents.client_id()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for known in redis_silence._opened():
                    known._hang_up_if_silent(float("inf"))
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert parents.client_id() == number


def test_who_waits_with_a_time_out_of_its_own_has_found_nothing(server: EmbeddedRedis, proxy: Proxy) -> None:
    """News that do not come are no silence."""
    side = workers.PLAIN_LINE
    with connected(server, proxy.port, side) as listens, connected(server, proxy.port, side) as other:
        number = other.client_id()
        pubsub: Any = listens.pubsub()  # type: ignore[no-untyped-call]
        pubsub.subscribe(CHANNEL)
        assert pubsub.get_message(timeout=LIMIT_S)
        with pytest.raises(redis.TimeoutError):
            pubsub.connection.read_response(timeout=0.01)
        assert other.client_id() == number


@each_side
def test_the_kernel_gives_a_silent_connection_up(server: EmbeddedRedis, proxy: Proxy, side: type[Any]) -> None:
    with connected(server, proxy.port, side) as client:
        pool: Any = client.connection_pool
        (connection,) = pool._get_free_connections()
        sock: Any = connection._sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = redis_silence.tcp_options()
        assert {option: sock.getsockopt(socket.IPPROTO_TCP, option) for option in options} == options


@pytest.fixture
def anew() -> Iterator[None]:
    """The options of TCP are found out anew, and again after the test."""
    redis_silence.tcp_options.cache_clear()
    yield
    redis_silence.tcp_options.cache_clear()


@pytest.mark.usefixtures("anew")
def test_an_option_that_the_system_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    assert len(redis_silence.tcp_options()) <= 3


@pytest.mark.usefixtures("anew")
def test_an_option_that_the_system_knows_and_refuses_is_left_out(
    server: EmbeddedRedis, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "TCP_USER_TIMEOUT", 4711, raising=False)
    assert 4711 not in redis_silence.tcp_options()
    with connected(server, proxy.port, workers.PLAIN_LINE) as client:
        assert client.ping()
