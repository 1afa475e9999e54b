"""Worker, beat, Flower and client on a Redis that is reached over TLS alone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from singletrack import Client
from singletrack_ops.errors import OpsError
from singletrack_ops.services import start_worker
from singletrack_ops.stack import Stack
from singletrack_tasks.requests.upkeep import Tick
from tests.integration.ops.waiting import wait_for
from tests.integration.worker_tools import tasks_in_log, worker_environ
from tests.tls import Authority, require_openssl, tls_redis

CA_FILE = "SINGLETRACK_REDIS_CA_FILE"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    require_openssl()
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def secure_url(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        pytest.MonkeyPatch.context() as environment,
        tls_redis(tmp_path_factory.mktemp("tls") / "redis", authority, authority.sign()) as url,
    ):
        # For the clients in this process.
        environment.setenv(CA_FILE, str(authority.own.cert_file))
        yield url


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, secure_url: str, authority: Authority, tiny_clip: Path
) -> Iterator[Stack]:
    environ = worker_environ(
        secure_url,
        "tls",
        None,
        clip_weights=f"local-dir:{tiny_clip}",
        redis_ca_file=authority.own.cert_file,
        idle_timeout_s=2,
        tick_interval_s=0.5,
    )
    folder = tmp_path_factory.mktemp("tls-stack")
    with Stack.start(folder, environ=environ, gpu="simulated", own_ollama=False, allow_sandbox=False) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with stack.client() as made:
        yield made


def test_the_worker_answers(client: Client) -> None:
    assert client.ping(timeout_s=60).track == "tls"
    assert client.embed_texts(["a button"], timeout_s=60).vectors.shape[0] == 1
    assert client.record(timeout_s=60).track == "tls"
    assert client.status().track == "tls"


def test_beat_sends_its_checks(stack: Stack) -> None:
    wait_for(lambda: tasks_in_log(stack.folder / "worker.log", Tick.TASK, "succeeded") != [], "a check by beat", 120)


def test_flower_sees_the_worker_and_the_queue(stack: Stack) -> None:
    assert stack.flower_url is not None
    page = f"{stack.flower_url}/gpu"
    wait_for(lambda: "tls" in requests.get(page, timeout=30).text, "the page about the GPU", 120)
    broker = requests.get(f"{stack.flower_url}/broker", timeout=30)
    assert (broker.status_code, "Flower cannot look" in broker.text) == (200, False)
    assert re.search(r"<td>gpu</td>\s*<td[^>]*>\s*\d+", broker.text), broker.text


def test_a_worker_that_does_not_trust_the_server_says_so(
    stack: Stack, client: Client, tmp_path: Path, tiny_clip: Path, secure_url: str
) -> None:
    environ = worker_environ(secure_url, "mistrustful", None, clip_weights=f"local-dir:{tiny_clip}")
    with pytest.raises(OpsError, match=f"(?s)of an unknown authority.*{CA_FILE}"):
        start_worker(tmp_path, environ, client)
