"""A real Redis of our own: reachable by its password only, its data safe, nothing left behind."""

import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from singletrack_ops.embedded.redis_server import EmbeddedRedis, find_redis_binary
from singletrack_ops.errors import OpsError
from tests.integration.ops.waiting import runs


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)


def test_it_answers_with_the_settings_that_keep_tasks_safe(redis_url: str) -> None:
    with client(redis_url) as connection:
        assert connection.ping()
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}
        assert {key: connection.config_get(key)[key] for key in wanted} == wanted
        assert connection.config_get("bind")["bind"] == "127.0.0.1"


@pytest.mark.parametrize("password", ["", "wrong"])
def test_another_password_is_refused(redis_url: str, password: str) -> None:
    port = urlsplit(redis_url).port
    assert port is not None
    with (
        redis.Redis(host="127.0.0.1", port=port, password=password or None, retry=Retry(NoBackoff(), 0)) as connection,
        pytest.raises(redis.AuthenticationError),
    ):
        connection.ping()


def test_the_password_is_for_our_eyes_only(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as server:
        password = urlsplit(server.url).password
        assert password
        assert password not in " ".join(psutil.Process(server.child.pid).cmdline())
        assert (tmp_path / "redis.conf").stat().st_mode & 0o777 == 0o600


def test_data_survives_a_restart_and_a_kill_and_clients_find_it_again(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path) as first, client(first.url) as connection:
        connection.set("key", "value")
        url = first.url
    with EmbeddedRedis.start(tmp_path) as second, client(second.url) as connection:
        assert connection.get("key") == "value"
        assert second.url == url
        # What it acknowledges is written at once: it is not, while a slow disk is at the sync of each second.
        connection.config_set("appendfsync", "no")
        connection.set("key", "newer")
        os.kill(second.child.pid, signal.SIGKILL)
        second.child.wait(timeout_s=10)
    with EmbeddedRedis.start(tmp_path) as third, client(third.url) as connection:
        assert connection.get("key") == "newer"


def test_it_takes_another_port_where_its_own_is_taken(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path / "one") as server:
        taken = urlsplit(server.url).port
    with EmbeddedRedis.start(tmp_path / "two", port=taken), EmbeddedRedis.start(tmp_path / "one") as again:
        assert urlsplit(again.url).port != taken
        with client(again.url) as connection:
            assert connection.ping()


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_with_the_log(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path / "one") as server:
        taken = urlsplit(server.url).port
        with pytest.raises(OpsError, match=r"[Aa]ddress already in use"):
            EmbeddedRedis.start(tmp_path / "two", port=taken)


def test_two_servers_never_share_a_folder(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path), pytest.raises(OpsError, match="already serves"):
        EmbeddedRedis.start(tmp_path)


def test_nothing_runs_after_stop_which_may_be_repeated(tmp_path: Path) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    server = EmbeddedRedis.start(tmp_path)
    server.stop()
    server.stop()
    assert not runs(server.child.pid)
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


def test_stopping_one_that_was_killed_is_fine(tmp_path: Path) -> None:
    server = EmbeddedRedis.start(tmp_path)
    os.kill(server.child.pid, signal.SIGKILL)
    assert server.child.wait(timeout_s=10) == -signal.SIGKILL
    assert not server.child.alive
    server.stop()


def test_a_folder_with_an_awkward_name_is_fine(tmp_path: Path) -> None:
    with EmbeddedRedis.start(tmp_path / 'a "quoted" \\ name') as server, client(server.url) as connection:
        assert connection.ping()


def test_a_server_is_found_here() -> None:
    binary = find_redis_binary()
    assert os.access(binary.path, os.X_OK)
