"""Loopback addresses: whose they are, and which ports are free."""

import ipaddress
import socket

import psutil

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine's loopback interface, by address or as localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # nobody knows where any other name leads


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port right now; only a hint."""
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
    """Whether the process, or one of its descendants, listens on this TCP port; False once it has ended."""
    try:
        process = psutil.Process(pid)
        # On Windows, the Python of a virtual environment starts the one that does the work.
        family = (process, *process.children(recursive=True))
        found = [connection for member in family for connection in member.net_connections("tcp")]
    except psutil.NoSuchProcess:
        return False
    return any(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port for connection in found)
