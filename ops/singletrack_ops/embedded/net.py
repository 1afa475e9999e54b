"""Loopback addresses: a free port to listen on, and whether something answers."""

import ipaddress
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil
import requests

from singletrack_ops.embedded.child import Child
from singletrack_ops.errors import OpsError

LOOPBACK = "127.0.0.1"
_POLL_S = 0.02


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port right now; of use as a hint only."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody listens on; somebody else may take it before the caller does."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def listens(pid: int, port: int) -> bool:
    """Whether the process, or one that it started, listens on this TCP port; one that has ended does not."""
    try:
        process = psutil.Process(pid)
        # On Windows, the Python of a virtual environment starts the one that does the work.
        family = (process, *process.children(recursive=True))
        found = [connection for member in family for connection in member.net_connections("tcp")]
    except psutil.NoSuchProcess:
        return False
    return any(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port for connection in found)


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine by a loopback address or as localhost."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def get_text(url: str, timeout_s: float, auth: tuple[str, str] | None = None) -> str | None:
    """The text that a GET answers with, or None where nothing answers, or not with 200; `auth` is user and password."""
    answer = _get(url, timeout_s, auth)
    return None if answer is None else answer.text


def get_json(url: str, timeout_s: float) -> object | None:
    """The JSON that a GET answers with, or None where nothing answers, or not with 200 and JSON."""
    answer = _get(url, timeout_s)
    try:
        return None if answer is None else answer.json()
    except ValueError:
        return None  # 'nothing usable there' is an answer to the question


def wait_until_ready(child: Child, ready: Callable[[], bool], timeout_s: float) -> None:
    """Wait until `ready()`; raises `OpsError` with the end of the log if the child ends or takes too long."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if not child.alive:
            raise OpsError(
                f"{child.name} ended at once with status {child.returncode}; {child.log_path} says:\n{child.log_tail()}"
            )
        if time.monotonic() > deadline:
            raise OpsError(
                f"{child.name} did not answer within {timeout_s:.0f} s; {child.log_path} says:\n{child.log_tail()}"
            )
        time.sleep(_POLL_S)


def _get(url: str, timeout_s: float, auth: tuple[str, str] | None = None) -> requests.Response | None:
    with requests.Session() as session:
        session.trust_env = not is_loopback(url)  # a proxy cannot reach our own machine
        try:
            answer = session.get(url, timeout=timeout_s, auth=auth)
        except requests.RequestException:
            return None  # 'does not answer' is the answer to the question
    return answer if answer.status_code == requests.codes.ok else None
