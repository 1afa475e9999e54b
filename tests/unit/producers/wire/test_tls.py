"""Redis over TLS, with good certificates and bad ones."""

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from singletrack.client import Client
from singletrack.job import JobState
from singletrack_ops.local.loopback import LOOPBACK
from singletrack_tasks.errors import InvalidConfiguration, RedisUnavailable
from singletrack_tasks.redis_address import tls_advice, tls_options, with_tls
from singletrack_tasks.requests.ping import Ping
from singletrack_worker.settings import GPUResourceConfig
from singletrack_worker.sight.backlog import BacklogReader
from singletrack_worker.store.connection import connect
from tests.tls import Authority, Certificate, peer, require_openssl, tls_redis

CA, CERT, KEY = (f"SINGLETRACK_REDIS_{name}_FILE" for name in ("CA", "CERT", "KEY"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    require_openssl()
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def url(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a good certificate."""
    with tls_redis(tmp_path_factory.mktemp("tls") / "redis", authority, authority.sign()) as url:
        yield url


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CA, str(authority.own.cert_file))


def _look(client: Client) -> None:
    client.dead_letters()


def _send(client: Client) -> None:
    client._sender.send(Ping(), "job")


def _listen(client: Client) -> None:
    client._sender.look("job")


CALLS: list[Callable[[Client], None]] = [_look, _send, _listen]


@pytest.mark.usefixtures("trusting")
def test_a_client_sends_and_hears_over_tls(url: str, authority: Authority) -> None:
    with Client(url) as client, peer(url, authority) as behind:
        job = client.submit(Ping(), timeout_s=60)
        assert job.state is JobState.QUEUED
        meta = f'{{"status": "SUCCESS", "result": {{"track": "x"}}, "task_id": "{job.id}", "children": []}}'
        behind.set(f"singletrack:gpu0:celery-task-meta-{job.id}", meta, ex=60)
        assert job.result().track == "x"


def test_the_file_of_the_authority_can_be_in_the_address(url: str, authority: Authority) -> None:
    with Client(f"{url}?ssl_ca_certs={authority.own.cert_file}") as client:
        for call in CALLS:
            call(client)


def test_certificates_are_not_verified_if_the_address_says_so(url: str) -> None:
    with Client(f"{url}?ssl_cert_reqs=none") as client:
        for call in CALLS:
            call(client)


@pytest.mark.usefixtures("trusting")
def test_a_server_may_ask_for_a_certificate(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = authority.sign("DNS:agent")
    with tls_redis(tmp_path / "redis", authority, authority.sign(), asks_for_certificates=True) as url:
        for call in CALLS:
            # Under TLS 1.3 a server finds out after the handshake, and may hang up before it is heard.
            told = pytest.raises((InvalidConfiguration, RedisUnavailable), match=f"[Ss]et {CERT} and {KEY}")
            with Client(url) as client, told:
                call(client)
        monkeypatch.setenv(CERT, str(mine.cert_file))
        monkeypatch.setenv(KEY, str(mine.key_file))
        with Client(url) as client:
            for call in CALLS:
                call(client)


FAULTS: dict[str, tuple[Callable[[Authority], Certificate], str]] = {
    "expired": (lambda authority: authority.sign(years=(2020, 2021)), "has expired. Renew it"),
    "not valid yet": (lambda authority: authority.sign(years=(2100, 2101)), "is not valid yet. Check the clocks"),
    "another name": (lambda authority: authority.sign("DNS:elsewhere.example"), "for another .* Use the name"),
    "another address": (lambda authority: authority.sign("IP:192.0.2.1"), "for another .* Use the name"),
    "unknown authority": (
        lambda authority: Authority(authority.folder / "stranger").sign(),
        f"of an unknown authority.*{CA}",
    ),
}


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_certificate_is_named_with_what_to_do(authority: Authority, tmp_path: Path, fault: str) -> None:
    make, advice = FAULTS[fault]
    with tls_redis(tmp_path / "redis", authority, make(authority)) as url:
        for call in CALLS:
            with Client(url) as client, pytest.raises(InvalidConfiguration, match=advice) as caught:
                call(client)
            assert str(urlsplit(url).password) not in str(caught.value)
        config = GPUResourceConfig.model_validate({"redis_url": url})
        with pytest.raises(InvalidConfiguration, match=advice):
            connect(config)


def test_whatever_else_is_wrong_with_a_certificate_is_said_in_openssls_words() -> None:
    why = "certificate verify failed: CA cert does not include key usage extension"
    advice = tls_advice(f"[SSL: CERTIFICATE_VERIFY_FAILED] {why} (_ssl.c:1020)")
    assert advice is not None
    assert why in advice
    assert "unknown authority" not in advice


def test_an_authority_that_nobody_named_is_unknown(url: str) -> None:
    with Client(url) as client, pytest.raises(InvalidConfiguration, match=CA):
        client.ping(timeout_s=5)


def test_what_is_not_tls_is_told_apart() -> None:
    """Redis itself waits for more at that; a proxy or another service answers."""
    with socket.create_server((LOOPBACK, 0)) as server, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1)
                    connection.sendall(b"-ERR this is no TLS\r\n")

        answering = pool.submit(answer)
        url = f"rediss://{LOOPBACK}:{server.getsockname()[1]}"
        with Client(url) as client, pytest.raises(InvalidConfiguration, match="does not speak TLS"):
            client.ping(timeout_s=5)
        answering.result(60)


@pytest.mark.parametrize("name", [CA, CERT, KEY])
def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/no/such/file.pem")
    for read in (Client, GPUResourceConfig.from_environment):
        with pytest.raises(InvalidConfiguration, match=f"{name}: .*there is no file /no/such/file.pem"):
            read()


def test_a_file_without_a_certificate_is_named(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "empty.pem"
    file.write_text("nothing")
    monkeypatch.setenv(CA, str(file))
    with Client(url) as client, pytest.raises(InvalidConfiguration, match="over TLS"):
        client.dead_letters()


@pytest.mark.usefixtures("trusting")
def test_the_workers_own_connections_speak_tls(url: str) -> None:
    config = GPUResourceConfig.model_validate({"redis_url": url, "redis_ca_file": None})
    with pytest.raises(InvalidConfiguration, match=CA):
        connect(config)
    config = GPUResourceConfig.from_environment().model_copy(update={"redis_url": config.redis_url})
    with connect(config) as client:
        assert client.ping()
    backlog = BacklogReader(config)
    assert backlog.read() is not None
    backlog.close()


def test_an_address_is_completed_and_never_overruled(tmp_path: Path) -> None:
    file = tmp_path / "a folder" / "ca.pem"
    whole = with_tls(
        "rediss://:p%40ss@host:1/2?ssl_cert_reqs=CERT_OPTIONAL&a=b", ca_file=file, cert_file=None, key_file=None
    )
    assert whole.startswith("rediss://:p%40ss@host:1/2?")
    assert tls_options(whole) == {"ssl_ca_certs": str(file), "ssl_cert_reqs": "optional"}
    named = with_tls("rediss://host?ssl_ca_certs=mine", ca_file=file, cert_file=None, key_file=None)
    assert tls_options(named) == {"ssl_ca_certs": "mine", "ssl_cert_reqs": "required"}
    assert with_tls("redis://host", ca_file=file, cert_file=None, key_file=None) == "redis://host"
    assert tls_options("redis://host") is None


def test_other_errors_are_none_of_tls() -> None:
    assert tls_advice("Connection refused") is None
    assert "over TLS" in str(tls_advice(str(ssl.SSLError(1, "[SSL: NO_CIPHERS] none"))))
