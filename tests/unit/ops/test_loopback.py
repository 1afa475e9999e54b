"""Who listens on a port."""

import os
import socket
import subprocess
import sys

from singletrack_ops.local.loopback import LOOPBACK, listens

LISTENER = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
input()
"""


def test_a_process_listens_on_its_own_port_and_no_other() -> None:
    command = [sys.executable, "-c", LISTENER, LOOPBACK]
    with (
        socket.create_server((LOOPBACK, 0)) as ours,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
    ):
        assert other.stdout is not None
        port = int(other.stdout.readline())
        our_port = ours.getsockname()[1]
        assert listens(other.pid, port)
        assert not listens(other.pid, our_port)
        assert listens(os.getpid(), our_port)
        # What a process started counts as its own.
        assert listens(os.getpid(), port)
        other.communicate(b"\n")
        assert not listens(other.pid, port)


def test_who_is_connected_does_not_listen() -> None:
    with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert not listens(os.getpid(), client.getsockname()[1])
